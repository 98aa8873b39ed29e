package invocation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/invocation"
)

const canary = "hunter2-canary-7f3a"

// TestCleanup: what must be done although the time is up ends before the answer is due.
func TestCleanup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deadline := time.Now().Add(20 * time.Second)
		ctx, cancel := context.WithDeadline(t.Context(), deadline)
		defer cancel()
		for _, tc := range []struct {
			name string
			wait time.Duration // from the step before
			want time.Duration // until the end of the clean-up
		}{
			{"early", 0, 2 * time.Second},
			{"shortly before the deadline", 19 * time.Second, 2 * time.Second},
			{"at the deadline", time.Second, 1200 * time.Millisecond},
			{"a second one", 900 * time.Millisecond, 300 * time.Millisecond},
		} {
			time.Sleep(tc.wait)
			clean, done := invocation.Cleanup(ctx, 2*time.Second)
			end, ok := clean.Deadline()
			if !ok || time.Until(end) != tc.want || clean.Err() != nil {
				t.Errorf("%s: Cleanup ends in %v (%v), want %v", tc.name, time.Until(end), clean.Err(), tc.want)
			}
			if last := deadline.Add(invocation.Margin); !end.Before(last) {
				t.Errorf("%s: Cleanup ends at %v, Lambda at %v", tc.name, end, last)
			}
			done()
		}
		clean, done := invocation.Cleanup(context.WithValue(t.Context(), key{}, "kept"), time.Second)
		defer done()
		if end, _ := clean.Deadline(); time.Until(end) != time.Second || clean.Value(key{}) != "kept" {
			t.Errorf("without a deadline: ends in %v, value %v", time.Until(end), clean.Value(key{}))
		}
	})
}

type key struct{}

// record logs once and returns the line, and its JSON.
func record(t *testing.T, level slog.Level, log func(*slog.Logger)) (string, map[string]any) {
	t.Helper()
	var out bytes.Buffer
	log(invocation.NewLogger(&out, level))
	var got map[string]any
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
			t.Fatalf("want one line of JSON: %v\n%.500s", err, &out)
		}
	}
	return out.String(), got
}

// TestRecord: the keys are those that Lambda's log filter reads.
func TestRecord(t *testing.T) {
	ctx := invocation.With(t.Context(), slog.String("lambda_request_id", "l"))
	first := invocation.With(ctx, slog.String("request_id", "r1"))
	second := invocation.With(ctx, slog.String("request_id", "r2"))
	for id, ctx := range map[string]context.Context{"r1": first, "r2": second} {
		line, got := record(t, slog.LevelWarn, func(l *slog.Logger) {
			l.InfoContext(ctx, "dropped")
			l.WarnContext(ctx, "kept", slog.Int("n", 1), slog.Any("error", errors.New("why")), slog.Group("g", slog.Time("time", time.Unix(0, 0))))
		})
		at, err := time.Parse(time.RFC3339, fmt.Sprint(got["timestamp"]))
		if err != nil || at.Location() != time.UTC || time.Since(at) > time.Minute {
			t.Errorf("timestamp %v: %v", got["timestamp"], err)
		}
		delete(got, "timestamp")
		delete(got, "g")
		want := map[string]any{"level": "WARN", "msg": "kept", "lambda_request_id": "l", "request_id": id, "n": 1.0, "error": "why"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("record (-want +got):\n%s\n%s", diff, line)
		}
	}
	if line, _ := record(t, slog.LevelInfo, func(l *slog.Logger) { l.With("a", 1).WithGroup("g").InfoContext(first, "m", "b", 2) }); !strings.Contains(line, `"a":1,"g":{"request_id":"r1","lambda_request_id":"l","b":2}`) && !strings.Contains(line, `"a":1,"g":{"lambda_request_id":"l","request_id":"r1","b":2}`) {
		t.Errorf("a logger with attributes and a group lost some: %s", line)
	}
}

// TestLongTexts: a text of 300 KB, in whatever characters, makes no line that CloudWatch
// refuses, and does not bury the rest of its record.
func TestLongTexts(t *testing.T) {
	const size = 300 << 10
	for name, text := range map[string]string{
		"letters": strings.Repeat("x", size), "control characters": strings.Repeat("\x01", size), "letters of three bytes": strings.Repeat("あ", size/3),
		"no UTF-8": strings.Repeat("\xff", size), "continuation bytes only": strings.Repeat("\x80", size),
	} {
		line, got := record(t, slog.LevelInfo, func(l *slog.Logger) {
			l.ErrorContext(t.Context(), text, slog.String("text", text), slog.Any("error", errors.New(text)), slog.Group("g", slog.String("text", text)), slog.Int("status", 500))
		})
		if len(line) >= 256<<10 || got["status"] != 500.0 || got["level"] != "ERROR" {
			t.Errorf("%s: a line of %d bytes, status %v", name, len(line), got["status"])
		}
		for _, key := range []string{"msg", "text", "error"} {
			if s := fmt.Sprint(got[key]); !strings.HasSuffix(s, fmt.Sprintf("… (cut, %d bytes)", len(text))) || len(s) > 32<<10 {
				t.Errorf("%s: %s ends with %q, %d bytes", name, key, s[max(0, len(s)-40):], len(s))
			}
		}
	}
	for _, text := range []string{"", "short", strings.Repeat("x", 8<<10)} {
		if got := invocation.Cut(text); got != text {
			t.Errorf("Cut changes a text of %d bytes", len(text))
		}
	}
	for ahead := range 3 {
		got := invocation.Cut(strings.Repeat("x", ahead) + strings.Repeat("あ", 8<<10))
		if strings.ContainsRune(strings.ToValidUTF8(got, "\uFFFD"), '\uFFFD') || len(got) > 8<<10 || invocation.Cut(got) != got {
			t.Errorf("Cut splits a character, or its result is too long: %d bytes", len(got))
		}
	}
}

// TestPanicked: the error has the type of the value and the stack, and never the value.
func TestPanicked(t *testing.T) {
	var none map[string]string
	for want, f := range map[string]func(){
		"string":                        func() { panic(canary) },
		"*errors.errorString":           func() { panic(errors.New(canary)) },
		"struct { Key string }":         func() { panic(struct{ Key string }{canary}) },
		"assignment to entry in nil":    func() { none[canary] = canary },
		"index out of range [1]":        func() { _ = []string{canary}[len(none)+1] },
		"interface {} is string":        func() { _ = any(canary).(int) }, //nolint:forcetypeassert // it is to panic
		"*runtime.PanicNilError":        func() { panic(nil) },
		"invalid memory address or nil": func() { var p *struct{ s string }; p.s = canary },
	} {
		err := func() (err error) {
			defer func() { err = invocation.Panicked(recover()) }()
			f()
			return nil
		}()
		text := err.Error()
		if !strings.HasPrefix(text, "panic: ") || !strings.Contains(text, "invocation_test.go") || strings.Contains(text, canary) {
			t.Errorf("%s: %s", want, text)
		}
		if first, _, _ := strings.Cut(text, "\n"); !strings.Contains(first, want) && want != "*runtime.PanicNilError" {
			t.Errorf("the first line is %q, want it to name %s", first, want)
		}
	}
}

func TestEndsWithin(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, tc := range []struct {
		name string
		ctx  context.Context
		d    time.Duration
		want bool
	}{
		{"ended", ended, 0, true},
		{"ends sooner", soon, time.Hour, true},
		{"ends later", soon, time.Second, false},
		{"has no end", t.Context(), time.Hour, false},
	} {
		if got := invocation.EndsWithin(tc.ctx, tc.d); got != tc.want {
			t.Errorf("a context that %s: EndsWithin(%v) = %t", tc.name, tc.d, got)
		}
	}
}
