// Package calltrace records the remote calls of a function under test, which uses
// the real SDK clients and engines. After any of its calls it can stop the
// function for good, as a crash would.
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

// Transport sends and records all remote calls of one process. It is an
// aws.HTTPClient for AWS and an http.RoundTripper for the carrier. The zero value
// is usable.
type Transport struct {
	// Carrier sends calls to the carrier; nil: there are none.
	Carrier http.RoundTripper

	mu       sync.Mutex
	calls    []string
	units    Units
	counted  map[string]bool // the SDK's invocation ids
	repeated bool
	dieAfter int
	dead     bool
	underWay int
	died     chan struct{}
}

// Config returns the configuration of clients that call an emulator through this
// transport.
func (w *Transport) Config(url string) aws.Config {
	cfg := emulator.Config(url)
	cfg.HTTPClient = w
	return cfg
}

// Do sends a call to AWS.
func (w *Transport) Do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if r.URL.Path == "/v2/email/outbound-emails" { // SES names its operations by their paths
		operation = "SendEmail"
	}
	return w.send(operation, r, http.DefaultTransport)
}

// RoundTrip sends a call to the carrier.
func (w *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return w.send("carrier "+r.Method, r, w.Carrier)
}

// send sends a request. In a dead process it never returns: no more requests are
// sent, and the answers to earlier ones reach no caller.
func (w *Transport) send(name string, r *http.Request, to http.RoundTripper) (*http.Response, error) {
	if w.begin() {
		select {}
	}
	var least Units
	metered := isTable(r)
	if metered {
		var err error
		if least, err = askForUnits(name, r); err != nil {
			return nil, err
		}
	}
	resp, err := to.RoundTrip(r)
	var units Units
	if err == nil && metered {
		units, err = used(name, least, resp)
	}
	if w.end(name, r.Header.Get("Amz-Sdk-Invocation-Id"), units) {
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

// end records a call, unless it is the SDK's repeat of a call whose answer was
// lost.
func (w *Transport) end(name, invocation string, units Units) (dead bool) {
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
		w.units.Read, w.units.Write = w.units.Read+units.Read, w.units.Write+units.Write
		w.dead = len(w.calls) == w.dieAfter
	}
	if w.dead && w.underWay == 0 {
		close(w.died)
	}
	return w.dead
}

// Reset forgets the calls and their units so far.
func (w *Transport) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.units = nil, Units{}
}

// Repeated tells whether the SDK has ever repeated a call. The repeat is not
// recorded, but it may have found the result of the first call.
func (w *Transport) Repeated() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.repeated
}

// Calls returns the names of the recorded calls, in the order of their answers.
func (w *Transport) Calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.calls...)
}

// DieAfter runs f as a process that is killed after its n-th remote call. It
// returns false if f returned before that. The transport of a killed process stays
// dead: f, and everything that f started, stops at its next call and never
// returns. So f must not share data with the test, because nothing orders its last
// steps before the test's next ones. When DieAfter returns, calls that were under
// way have reached the other side.
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

// Emulator starts an emulator, stops it when the test ends, and returns its URL. If
// it does not start, the test fails.
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

// Median returns the median of at least one duration.
func Median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

// Compare runs ours and bare by turns, b.N times each, and reports both medians
// and their ratio. A tenth more runs come first as a warm-up and do not count.
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
