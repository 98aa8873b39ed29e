// Package calltrace records the remote calls of a function under test, which runs
// the real SDK clients against the real engines, and can stop the function for
// good after any of its calls, as a crash would.
package calltrace

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrierlink/infra/local/emulator"
)

// Transport carries all remote calls of one process. It is an aws.HTTPClient and an
// http.RoundTripper. The zero value passes everything on.
type Transport struct {
	// Carrier answers what is not for AWS; nil: nothing is sent there.
	Carrier http.RoundTripper

	mu       sync.Mutex
	calls    []string
	counted  map[string]bool // the SDK's invocation ids
	repeated bool
	dieAfter int
	dead     bool
	underWay int
	died     chan struct{}
}

// Config is the configuration of clients that talk over the wire to an
// emulator.
func (w *Transport) Config(url string) aws.Config {
	cfg := emulator.Config(url)
	cfg.HTTPClient = w
	return cfg
}

// Do is a call to AWS.
func (w *Transport) Do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return w.pass(operation, r, http.DefaultTransport)
}

// RoundTrip is a call to the carrier.
func (w *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return w.pass("carrier "+r.Method, r, w.Carrier)
}

// pass sends a request. In a dead process it never returns: nothing more is sent,
// and nobody hears of the answers to what was sent.
func (w *Transport) pass(name string, r *http.Request, to http.RoundTripper) (*http.Response, error) {
	if w.begin() {
		select {}
	}
	resp, err := to.RoundTrip(r)
	if w.end(name, r.Header.Get("Amz-Sdk-Invocation-Id")) {
		select {}
	}
	return resp, err
}

func (w *Transport) begin() (dead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dead {
		w.underWay++
	}
	return w.dead
}

// end counts a call, unless it is the SDK's repeat of one whose answer was lost.
func (w *Transport) end(name, invocation string) (dead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.underWay--
	again := invocation != "" && w.counted[invocation]
	w.repeated = w.repeated || again
	if !w.dead && !again {
		if w.counted == nil {
			w.counted = map[string]bool{}
		}
		w.counted[invocation] = true
		w.calls = append(w.calls, name)
		w.dead = len(w.calls) == w.dieAfter
	}
	if w.dead && w.underWay == 0 {
		close(w.died)
	}
	return w.dead
}

// Reset forgets the calls so far.
func (w *Transport) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = nil
}

// Repeated tells whether the SDK has ever made a call of this wire again. The
// repeat is not counted, but it may have met what the call did before its answer
// was lost.
func (w *Transport) Repeated() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.repeated
}

// Calls are the names of the remote calls so far, in the order of their answers.
func (w *Transport) Calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.calls...)
}

// DieAfter runs f as a process that is killed after its n-th remote call, and
// tells whether that many calls were made: else f came to its end. The wire of a
// killed process stays dead: f, and everything that f started, stops at its next
// call and never returns. What f works with must therefore be its own: nothing
// orders its last steps and what the test does next. Calls that were under way
// have reached the other side when DieAfter returns.
func (w *Transport) DieAfter(n int, f func()) bool {
	w.mu.Lock()
	w.calls, w.dieAfter, w.died = nil, n, make(chan struct{})
	w.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	select {
	case <-w.died:
		return true
	case <-ended:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.dieAfter = 0
		return false
	}
}

// Emulator starts an emulator for the length of a test; without one the test
// fails.
func Emulator(tb testing.TB, start func(context.Context, emulator.Options) (*emulator.Process, error)) string {
	tb.Helper()
	p, err := start(tb.Context(), emulator.Options{})
	if err != nil {
		tb.Fatalf("starting an emulator: %v", err)
	}
	tb.Cleanup(func() {
		if err := p.Stop(); err != nil {
			tb.Errorf("stopping an emulator: %v", err)
		}
	})
	return p.URL
}

// Median is the middle of some durations, for comparing two sides of a
// benchmark.
func Median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

// Compare runs ours and bare in turn, b.N times each, and reports both medians
// and their ratio. The first tenth warms both up and does not count.
func Compare(b *testing.B, ours, bare func()) {
	b.Helper()
	var times [2][]time.Duration
	warm := b.N / 10
	for i := range b.N + warm {
		for side, f := range []func(){ours, bare} {
			start := time.Now()
			f()
			if took := time.Since(start); i >= warm {
				times[side] = append(times[side], took)
			}
		}
	}
	a, z := Median(times[0]), Median(times[1])
	b.ReportMetric(float64(a.Microseconds()), "ours-p50-µs")
	b.ReportMetric(float64(z.Microseconds()), "bare-p50-µs")
	b.ReportMetric(float64(a)/float64(z), "×bare")
	b.ReportMetric(0, "ns/op")
}
