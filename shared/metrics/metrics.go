// Package metrics makes log records that CloudWatch reads as metrics, in its embedded
// metric format. A function collects points while it works, and a record that it writes
// anyway carries them: a metric costs no call, and rarely a line of the log.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
package metrics

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Namespace is the namespace of all metrics.
const Namespace = "carrierlink"

// Other stands for a value that a dimension does not have.
const Other = "other"

// maxValues bounds the values of a record. CloudWatch takes a hundred of each metric.
const maxValues = 100

// Recorder makes the points of one call of a function. A zero Stage makes no metrics.
type Recorder struct {
	Stage string // the dimension that all metrics have
	Now   func() time.Time
}

// Points are what one call of a function has measured. They are safe for concurrent use.
type Points struct {
	recorder Recorder
	mu       sync.Mutex
	list     []point
}

type point struct {
	metric    Metric
	dimension dimension
	value     string
	n         int64
}

type contextKey struct{}

// Start returns a context in which Add adds to the points.
func (r Recorder) Start(ctx context.Context) (context.Context, *Points) {
	p := &Points{recorder: r}
	return context.WithValue(ctx, contextKey{}, p), p
}

// Add adds a point, if ctx comes from Start. value is one of the values of the metric's
// dimension, and empty if it has none; any other value counts as Other, so that nothing
// that a caller sends becomes a dimension.
func Add(ctx context.Context, m Metric, value string, n int64) {
	p, ok := ctx.Value(contextKey{}).(*Points)
	if !ok || p.recorder.Stage == "" {
		return
	}
	d := definitions[m]
	if values := dimensions[d.dimension].values; len(values) == 0 {
		value = ""
	} else if !slices.Contains(values, value) {
		value = Other
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, q := range p.list {
		if d.sum && q.metric == m && q.value == value {
			p.list[i].n += n
			return
		}
	}
	p.list = append(p.list, point{m, d.dimension, value, n})
}

// Log writes a record that carries the points, and forgets them. attrs are of the type
// slog.Attr. A record has one value of each dimension, so further values get records of
// their own, named "metrics"; so do all points if the logger drops records of the level:
// LogLevel does not switch off metrics.
func (p *Points) Log(ctx context.Context, log *slog.Logger, level slog.Level, msg string, attrs ...any) {
	p.mu.Lock()
	rest := p.list
	p.list = nil
	p.mu.Unlock()
	var line []point
	if log.Enabled(ctx, level) {
		line, rest = split(rest)
		log.Log(ctx, level, msg, append(attrs, p.recorder.encode(line)...)...)
	}
	// The least level that the logger keeps.
	least := slog.LevelInfo
	for least < slog.LevelError && !log.Enabled(ctx, least) {
		least += slog.LevelInfo - slog.LevelDebug
	}
	for len(rest) > 0 {
		line, rest = split(rest)
		log.Log(ctx, least, "metrics", p.recorder.encode(line)...)
	}
}

// split takes points that fit into one record: with one value of each dimension.
func split(list []point) (line, rest []point) {
	for _, p := range list {
		fits := len(line) < maxValues
		for _, q := range line {
			fits = fits && (q.dimension != p.dimension || q.value == p.value)
		}
		if fits {
			line = append(line, p)
		} else {
			rest = append(rest, p)
		}
	}
	return line, rest
}

// encode returns the attributes that make a record carry points. Those with the same
// dimension share a directive.
func (r Recorder) encode(line []point) []any {
	if len(line) == 0 {
		return nil
	}
	attrs := []any{nil, slog.String("Stage", r.Stage)}
	var directives []string
	for dimension, by := range dimensions {
		sets, list := `["Stage"]`, ""
		for m, d := range definitions {
			if int(d.dimension) != dimension {
				continue
			}
			values, of := valuesOf(line, Metric(m))
			if values == "" {
				continue
			}
			if list == "" && by.name != "" {
				attrs = append(attrs, slog.String(by.name, of))
				if sets = `["Stage","` + by.name + `"]`; d.total {
					sets += `,["Stage"]`
				}
			}
			attrs = append(attrs, slog.Any(d.name, json.RawMessage(values)))
			list += `,{"Name":"` + d.name + `","Unit":"` + d.unit + `"}`
		}
		if list != "" {
			directives = append(directives, `{"Namespace":"`+Namespace+`","Dimensions":[`+sets+`],"Metrics":[`+list[1:]+`]}`)
		}
	}
	attrs[0] = slog.Any("_aws", json.RawMessage(`{"Timestamp":`+strconv.FormatInt(r.Now().UnixMilli(), 10)+`,"CloudWatchMetrics":[`+strings.Join(directives, ",")+`]}`))
	return attrs
}

// valuesOf returns the values of a metric in JSON, as a plain number if there is one, and
// the value of its dimension.
func valuesOf(line []point, m Metric) (values, of string) {
	n := 0
	for _, p := range line {
		if p.metric == m {
			values, of = values+","+strconv.FormatInt(p.n, 10), p.value
			n++
		}
	}
	switch n {
	case 0:
		return "", ""
	case 1:
		return values[1:], of
	}
	return "[" + values[1:] + "]", of
}
