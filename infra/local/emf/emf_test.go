package emf_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emf"
)

const head = `{"level":"INFO","_aws":{"Timestamp":1795000000123,"CloudWatchMetrics":[{"Namespace":"carrierlink","Dimensions":`

func TestParseRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"not JSON":               head + `[["Stage"]],"Metrics":[{"Name":"N"}]}]},"Stage":"s","N":1`,
		"no timestamp":           `{"_aws":{"CloudWatchMetrics":[{"Namespace":"c","Dimensions":[["Stage"]],"Metrics":[{"Name":"N"}]}]},"Stage":"s","N":1}`,
		"no directive":           `{"_aws":{"Timestamp":1,"CloudWatchMetrics":[]}}`,
		"no set of dimensions":   head + `[],"Metrics":[{"Name":"N"}]}]},"Stage":"s","N":1}`,
		"no metric":              head + `[["Stage"]],"Metrics":[]}]},"Stage":"s"}`,
		"no value":               head + `[["Stage"]],"Metrics":[{"Name":"N"}]}]},"Stage":"s"}`,
		"a text":                 head + `[["Stage"]],"Metrics":[{"Name":"N"}]}]},"Stage":"s","N":"1"}`,
		"no values":              head + `[["Stage"]],"Metrics":[{"Name":"N"}]}]},"Stage":"s","N":[]}`,
		"too many values":        head + `[["Stage"]],"Metrics":[{"Name":"N"}]}]},"Stage":"s","N":[1` + strings.Repeat(",1", 100) + `]}`,
		"no dimension":           head + `[["Stage"]],"Metrics":[{"Name":"N"}]}]},"N":1}`,
		"an empty dimension":     head + `[["Stage"]],"Metrics":[{"Name":"N"}]}]},"Stage":"","N":1}`,
		"a number for dimension": head + `[["Stage"]],"Metrics":[{"Name":"N"}]}]},"Stage":1,"N":1}`,
	} {
		if got, err := emf.Parse(line); err == nil {
			t.Errorf("%s: Parse = %v, want an error", name, got)
		}
	}
}

func TestSummary(t *testing.T) {
	var all emf.Summary
	for _, line := range []string{
		`not JSON, and no metrics`,
		`{"level":"INFO","msg":"request"}`,
		head + `[["Stage","Route"]],"Metrics":[{"Name":"Latency","Unit":"Milliseconds"}]},{"Namespace":"carrierlink","Dimensions":[["Stage"]],"Metrics":[{"Name":"Malformed"}]}]},"Stage":"local","Route":"links","Latency":[10,30],"Malformed":2}`,
		head + `[["Route","Stage"],["Stage"]],"Metrics":[{"Name":"Latency","Unit":"Milliseconds"}]}]},"Stage":"local","Route":"links","Latency":20.5}`,
	} {
		if err := all.Add(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	var text strings.Builder
	if err := all.Write(&text); err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for line := range strings.Lines(text.String()) {
		got = append(got, strings.Fields(line))
	}
	want := [][]string{
		{"METRIC", "DIMENSIONS", "UNIT", "SAMPLES", "SUM", "MIN", "P50", "P99", "MAX", "LAST"},
		{"Latency", "Route=links,Stage=local", "Milliseconds", "3", "60.5", "10", "20.5", "30", "30", "20.5"},
		{"Latency", "Stage=local", "Milliseconds", "1", "20.5", "20.5", "20.5", "20.5", "20.5", "20.5"},
		{"Malformed", "Stage=local", "None", "1", "2", "2", "2", "2", "2", "2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
