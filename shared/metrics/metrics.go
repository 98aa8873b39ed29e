// Package metrics makes lines of the log that CloudWatch reads as metrics.
package metrics

import (
	"log/slog"
	"time"
)

// Counter adds a metric of the namespace carrierlink, by stage, to a line of the
// log, in the embedded metric format of CloudWatch.
type Counter struct {
	Stage string
	Now   func() time.Time
}

// The metrics. template.yaml has their alarms.
const (
	InternalErrors = "InternalErrors" // scheduled checks that failed by our fault
	Malformed      = "Malformed"      // entries of the index and messages that nobody can read
	Throttled      = "Throttled"      // scheduled checks that AWS throttled
)

// Count returns the attributes that make a line count n of a metric.
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
