package boot

import (
	"log/slog"
	"time"
)

// Metrics make a line of the log count: CloudWatch reads such a line as a metric
// (its embedded metric format) of the namespace carrierlink, by stage.
type Metrics struct {
	Stage string
	Now   func() time.Time
}

// Metrics reads STAGE.
func (e *Env) Metrics() Metrics { return Metrics{Stage: e.Text("STAGE"), Now: time.Now} }

// The metrics. template.yaml has their alarms.
const (
	InternalErrors = "InternalErrors" // scheduled checks that failed by our fault
	Malformed      = "Malformed"      // entries of the index and messages that nobody can read
	Throttled      = "Throttled"      // scheduled checks that AWS throttled
)

// Count is what to add to a line for n of a metric.
func (m Metrics) Count(metric string, n int) []slog.Attr {
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
		slog.Any("_aws", metadata{Timestamp: m.Now().UnixMilli(), CloudWatchMetrics: []directive{{
			Namespace: "carrierlink", Dimensions: [][]string{{"Stage"}}, Metrics: []definition{{metric, "Count"}},
		}}}),
		slog.String("Stage", m.Stage), slog.Int(metric, n),
	}
}
