// Package emf reads metrics in CloudWatch's embedded metric format from the lines of a log, as CloudWatch does on AWS. The
// emulators keep the lines and make no metrics of them.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
package emf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Limits of the format.
const (
	maxMetrics    = 100 // in a directive
	maxValues     = 100 // of a metric
	maxDimensions = 30  // in a set
)

// Datum is the values of one metric with one set of dimensions in a line.
type Datum struct {
	Namespace string
	Name      string
	Unit      string
	// Dimensions are sorted by name: "Outcome=ok,Stage=local".
	Dimensions string
	Values     []float64
}

// Key returns the namespace, name and dimensions, which identify a metric.
func (d Datum) Key() string { return Key(d.Namespace, d.Name, d.Dimensions) }

// Key returns what Datum.Key does.
func Key(namespace, name, dimensions string) string {
	return namespace + " " + name + "{" + dimensions + "}"
}

// Join returns dimensions in the form of Datum.Dimensions.
func Join(dimensions map[string]string) string {
	list := make([]string, 0, len(dimensions))
	for _, name := range slices.Sorted(maps.Keys(dimensions)) {
		list = append(list, name+"="+dimensions[name])
	}
	return strings.Join(list, ",")
}

// Parse returns the metrics of a line; none for a line that has no metrics. A line that CloudWatch would ignore although
// it claims to have metrics is an error.
func Parse(line string) ([]Datum, error) {
	if !strings.Contains(line, `"CloudWatchMetrics"`) {
		return nil, nil
	}
	var root map[string]json.RawMessage
	var head struct {
		AWS struct {
			Timestamp  int64 `json:"Timestamp"`
			Directives []struct {
				Namespace  string     `json:"Namespace"`
				Dimensions [][]string `json:"Dimensions"`
				Metrics    []struct {
					Name string `json:"Name"`
					Unit string `json:"Unit"`
				} `json:"Metrics"`
			} `json:"CloudWatchMetrics"`
		} `json:"_aws"`
	}
	if err := errors.Join(json.Unmarshal([]byte(line), &root), json.Unmarshal([]byte(line), &head)); err != nil {
		return nil, fmt.Errorf("a line with metrics is not JSON: %w", err)
	}
	if head.AWS.Timestamp <= 0 || len(head.AWS.Directives) == 0 {
		return nil, errors.New("a line with metrics has no timestamp or no directive")
	}
	var all []Datum
	for _, d := range head.AWS.Directives {
		if d.Namespace == "" || len(d.Dimensions) == 0 || len(d.Metrics) == 0 || len(d.Metrics) > maxMetrics {
			return nil, fmt.Errorf("a directive has the namespace %q, %d sets of dimensions and %d metrics", d.Namespace, len(d.Dimensions), len(d.Metrics))
		}
		for _, m := range d.Metrics {
			values, err := values(root[m.Name])
			if err != nil {
				return nil, fmt.Errorf("the metric %s: %w", m.Name, err)
			}
			for _, set := range d.Dimensions {
				dimensions, err := dimensions(root, set)
				if err != nil {
					return nil, fmt.Errorf("the metric %s: %w", m.Name, err)
				}
				all = append(all, Datum{Namespace: d.Namespace, Name: m.Name, Unit: m.Unit, Dimensions: dimensions, Values: values})
			}
		}
	}
	return all, nil
}

func values(text json.RawMessage) ([]float64, error) {
	var list []float64
	if !strings.HasPrefix(string(text), "[") {
		text = json.RawMessage("[" + string(text) + "]")
	}
	if err := json.Unmarshal(text, &list); err != nil || len(list) == 0 || len(list) > maxValues {
		return nil, fmt.Errorf("%.80s is neither a number nor 1 to %d numbers", text, maxValues)
	}
	return list, nil
}

func dimensions(root map[string]json.RawMessage, set []string) (string, error) {
	found := make(map[string]string, len(set))
	for _, name := range set {
		var value string
		if err := json.Unmarshal(root[name], &value); err != nil || value == "" || len(value) > 1024 {
			return "", fmt.Errorf("the dimension %s is not a text of 1 to 1,024 bytes", name)
		}
		found[name] = value
	}
	if len(found) > maxDimensions {
		return "", fmt.Errorf("%d dimensions", len(found))
	}
	return Join(found), nil
}
