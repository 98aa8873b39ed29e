package invocation

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"time"
	"unicode/utf8"
)

// timestamp and level are the keys that Lambda's log filter reads. A record without an
// RFC 3339 time counts as INFO there, whatever its level is (Lambda Developer Guide,
// "Log-level filtering").
const timestamp = "timestamp"

// maxText is the size of a text in a log record, in bytes. CloudWatch Logs takes events of
// up to 1 MB (API reference, "PutLogEvents"), and took 256 KB before. A record stays below
// that: JSON may write six bytes for one, and a record has at most two texts that are not
// ours.
const maxText = 8 << 10

// NewLogger returns a logger that writes a line of JSON for each record: the time in UTC as
// timestamp, level, msg, the attributes that With gave to the record's context, then its
// own. A longer text than 8 KB is cut, with a mark.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(&handler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: replace})})
}

type handler struct{ slog.Handler }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	attrs, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return h.Handler.WithAttrs(attrs).Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs)}
}

func (h *handler) WithGroup(name string) slog.Handler { return &handler{h.Handler.WithGroup(name)} }

func replace(groups []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case time.Time:
		if len(groups) == 0 && a.Key == slog.TimeKey {
			a.Key, a.Value = timestamp, slog.StringValue(v.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
	case string:
		a.Value = slog.StringValue(Cut(v))
	case error:
		a.Value = slog.StringValue(Cut(v.Error()))
	}
	return a
}

// Cut cuts a text that is longer than 8 KB, and says so at its end.
func Cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	n := maxText - 64 // with its mark it is short enough, so that nothing cuts it again
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "… (cut, " + strconv.Itoa(len(text)) + " bytes)"
}
