// Package metrics makes log records that CloudWatch reads as metrics.
package metrics

import (
	"log/slog"
	"time"
)

// Counter makes metrics of the namespace carrierlink, with the dimension Stage, in
// CloudWatch's embedded metric format.
type Counter struct {
	Stage string
	Now   func() time.Time
}

// The metrics. template.yaml defines their alarms.
const (
	InternalErrors = "InternalErrors" // scheduled checks that failed through our fault
	Malformed      = "Malformed"      // index entries and messages that cannot be read
	Throttled      = "Throttled"      // scheduled checks that AWS throttled
)

// Count returns the attributes that make a log record count n of a metric.
func (c Counter) Count(metric string, n int) []slog.Attr {
	type definition struct {
		Name string `json:"Name"`
		Unit string `json:"Unit"`
	}
	type directive struct {
		Namespace  string       `json:"Namespace"`
		Dimensions [][]string   `json:"Dimensions"`
		Metrics    []definition `json:"Metrics"`
	}
	type metadata struct {
		Timestamp         int64       `json:"Timestamp"`
		CloudWatchMetrics []directive `json:"CloudWatchMetrics"`
	}
	return []slog.Attr{
		slog.Any("_aws", metadata{Timestamp: c.Now().UnixMilli(), CloudWatchMetrics: []directive{{
			Namespace: "carrierlink", Dimensions: [][]string{{"Stage"}}, Metrics: []definition{{metric, "Count"}},
		}}}),
		slog.String("Stage", c.Stage), slog.Int(metric, n),
	}
}
