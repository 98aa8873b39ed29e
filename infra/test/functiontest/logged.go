package functiontest

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
)

// Logged runs f and returns what it writes to the default logger, as JSON. Tests that use
// it must not run in parallel with others.
func Logged(f func()) string {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
	defer slog.SetDefault(before)
	f()
	return log.String()
}

// series returns how many series of metrics a log has: names with different values of
// their dimensions.
func series(log string) (int, error) {
	found := map[string]bool{}
	for line := range strings.Lines(log) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			return 0, err
		}
		var meta struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Dimensions [][]string `json:"Dimensions"`
					Metrics    []struct {
						Name string `json:"Name"`
					} `json:"Metrics"`
				} `json:"CloudWatchMetrics"`
			} `json:"_aws"`
		}
		if err := json.Unmarshal([]byte(line), &meta); err != nil {
			return 0, err
		}
		for _, directive := range meta.AWS.CloudWatchMetrics {
			for _, set := range directive.Dimensions {
				var values strings.Builder
				for _, name := range set {
					value, _ := record[name].(string)
					values.WriteString(" " + name + "=" + value)
				}
				for _, metric := range directive.Metrics {
					found[metric.Name+values.String()] = true
				}
			}
		}
	}
	return len(found), nil
}
