package auspost

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// The canaries must not appear in an error or a log.
const (
	canaryKey    = "canary-key-5f1c2d"
	canarySecret = "canäry:secret%9e7b&lt;"
)

func chargeAccount(number string) connection.ChargeAccount {
	return connection.ChargeAccount{
		Carrier: carrier.AustraliaPost, Number: number,
		Credentials: connection.Credentials{APIKey: secret.New(canaryKey), APISecret: secret.New(canarySecret)},
	}
}

// checkCanaries searches everything that a log could print of a failed reading for the
// canaries.
func checkCanaries(t *testing.T, r connection.Reading) {
	t.Helper()
	if r.Outcome == carrier.OutcomeOK {
		return
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Error("check", "reading", r, "cause", r.Cause, "error", r.Err())
	fmt.Fprintf(&out, "%+v %#v %v", r, r.Cause, r.Err())
	for e := r.Cause; e != nil; e = errors.Unwrap(e) {
		fmt.Fprintf(&out, "%v %+v %#v", e, e, e)
	}
	for _, canary := range []string{canaryKey, "secret%9e7b", asked, "accounts/", "Y2FuYXJ5LWtleS"} {
		if strings.Contains(out.String(), canary) {
			t.Errorf("%q appears in: %s", canary, out.String())
		}
	}
}

func TestNewRefusesBaseURL(t *testing.T) {
	for _, base := range []string{
		"", "shipping/v1", "/shipping/v1", "//host/shipping/v1", "ftp://host/shipping/v1", "http:///shipping/v1", "https://:443/shipping/v1",
		"https://host", "https://host/shipping/v2", "https://host/shipping/v1?x=1", "https://host/shipping/v1?", "https://host/shipping/v1#x",
		"https://hunter2@host/shipping/v1", "https://host:port/shipping/v1", "https://ho st/shipping/v1", "https://host/shipping/v1/accounts",
	} {
		_, err := New(Options{BaseURL: base})
		if err == nil {
			t.Errorf("New(%q) succeeded", base)
		} else if strings.Contains(err.Error(), "host") {
			t.Errorf("New(%q) quotes the URL: %v", base, err)
		}
	}
	for _, base := range []string{
		"https://digitalapi.auspost.com.au/shipping/v1", "https://digitalapi.auspost.com.au/test/shipping/v1/", "http://127.0.0.1:8081/shipping/v1",
	} {
		if _, err := New(Options{BaseURL: base}); err != nil {
			t.Errorf("New(%q): %v", base, err)
		}
	}
}

func TestTransportBounds(t *testing.T) {
	tr := newTransport()
	if tr.Proxy != nil {
		t.Error("the transport takes a proxy from the environment")
	}
	if tr.TLSClientConfig.InsecureSkipVerify || tr.TLSClientConfig.MinVersion < 0x0303 {
		t.Error("the transport accepts less than TLS 1.2 or any certificate")
	}
	if tr.MaxResponseHeaderBytes != maxHeader || tr.DisableKeepAlives {
		t.Error("the transport does not bound headers, or keeps no connections")
	}
}

func TestStepOf(t *testing.T) {
	tests := []struct {
		name           string
		ctx            context.Context
		check, attempt int
	}{
		{"without a step", t.Context(), 1, 1},
		{"not positive", WithStep(t.Context(), 0, -3), 1, 1},
		{"counted", WithStep(t.Context(), 7, 2), 7, 2},
	}
	for _, tt := range tests {
		if check, attempt := StepOf(tt.ctx); check != tt.check || attempt != tt.attempt {
			t.Errorf("%s: StepOf = %d, %d, want %d, %d", tt.name, check, attempt, tt.check, tt.attempt)
		}
	}
}

// roundTripper is a transport made of a function, which gets the number of the call from
// 1.
type roundTripper struct {
	calls int
	do    func(n int, r *http.Request) (*http.Response, error)
}

func (rt *roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	rt.calls++
	return rt.do(rt.calls, r)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func response(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

const fineBody = `{"account_number":"` + asked + `"}`

const refusedBody = `{"errors":[{"code":"1"}]}`

// never does not answer.
func never(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestGetAccountRetries runs in virtual time: pauses and timeouts are exact and take no
// real time.
func TestGetAccountRetries(t *testing.T) {
	status := func(codes ...int) func(int, *http.Request) (*http.Response, error) {
		return func(n int, _ *http.Request) (*http.Response, error) {
			body := `{}`
			switch codes[n-1] {
			case 200:
				body = fineBody
			case 401, 403:
				body = refusedBody
			}
			return response(codes[n-1], body), nil
		}
	}
	refused := func(n int, _ *http.Request) (*http.Response, error) {
		if n == 1 {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused by " + canaryKey)}
		}
		return response(200, fineBody), nil
	}
	after := func(wish string) func(int, *http.Request) (*http.Response, error) {
		return func(n int, _ *http.Request) (*http.Response, error) {
			if n == 2 {
				return response(200, fineBody), nil
			}
			r := response(503, "")
			r.Header.Set("Retry-After", wish)
			return r, nil
		}
	}
	const jittered = -1 // a pause of up to half a second
	tests := []struct {
		name    string
		timeout time.Duration // of the caller; zero: none
		do      func(n int, r *http.Request) (*http.Response, error)
		want    carrier.Outcome
		calls   int
		took    time.Duration
	}{
		{"no answer", 0, func(_ int, r *http.Request) (*http.Response, error) { return never(r) }, carrier.OutcomeTimeout, 1, 8 * time.Second},
		{"no answer, less time", 5 * time.Second, func(_ int, r *http.Request) (*http.Response, error) { return never(r) }, carrier.OutcomeTimeout, 1, 3500 * time.Millisecond},
		{"no time for one attempt", time.Second, status(), carrier.OutcomeTimeout, 0, 0},
		{"429", 0, status(429), carrier.OutcomeRateLimited, 1, 0},
		{"400", 0, status(400), carrier.OutcomeUnexpected, 1, 0},
		{"403", 0, status(403), carrier.OutcomeForbidden, 1, 0},
		{"302", 0, status(302), carrier.OutcomeUnreadable, 1, 0},
		{"200 without account", 0, status(202), carrier.OutcomeUnreadable, 1, 0},
		{"401 twice", 0, status(401, 401), carrier.OutcomeUnauthorized, 2, 2 * time.Second},
		{"401 then 500", 0, status(401, 500), carrier.OutcomeUnavailable, 2, 2 * time.Second},
		{"401 and no time", 4400 * time.Millisecond, status(401), carrier.OutcomeUnauthorized, 1, 0},
		{"401 and just enough time", 4500 * time.Millisecond, status(401, 200), carrier.OutcomeOK, 2, 2 * time.Second},
		{"500 twice", 0, status(500, 500), carrier.OutcomeUnavailable, 2, jittered},
		{"500 then 401", 0, status(500, 401), carrier.OutcomeUnauthorized, 2, jittered},
		{"503 and no time", 2499 * time.Millisecond, status(503), carrier.OutcomeUnavailable, 1, 0},
		{"403 of an edge twice", 0, func(int, *http.Request) (*http.Response, error) { return response(403, edge403), nil }, carrier.OutcomeUnavailable, 2, jittered},
		{"401 of an edge, then fine", 0, func(n int, _ *http.Request) (*http.Response, error) {
			return response([]int{401, 200}[n-1], []string{edge403, fineBody}[n-1]), nil
		}, carrier.OutcomeOK, 2, jittered},
		{"401 that is never complete", 0, func(_ int, r *http.Request) (*http.Response, error) {
			resp := response(401, "")
			resp.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
				<-r.Context().Done()
				return 0, r.Context().Err()
			}))
			return resp, nil
		}, carrier.OutcomeTimeout, 1, 8 * time.Second},
		{"503 for three seconds", 0, after("3"), carrier.OutcomeUnavailable, 1, 0},
		{"503 for two seconds, then fine", 0, after("2"), carrier.OutcomeOK, 2, 2 * time.Second},
		{"401 then no answer", 28 * time.Second, func(n int, r *http.Request) (*http.Response, error) {
			if n == 1 {
				return response(401, refusedBody), nil
			}
			return never(r)
		}, carrier.OutcomeTimeout, 2, 10 * time.Second},
		{"dialling too slow", 0, func(int, *http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}
		}, carrier.OutcomeTimeout, 1, 0},
		{"connection refused, then fine", 0, refused, carrier.OutcomeOK, 2, jittered},
		{"502 then fine", 0, status(502, 200), carrier.OutcomeOK, 2, jittered},
		{"401 then fine", 0, status(401, 200), carrier.OutcomeOK, 2, 2 * time.Second},
		{"fine", 0, status(200), carrier.OutcomeOK, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.timeout)
					defer cancel()
				}
				rt := &roundTripper{do: tt.do}
				c, err := New(Options{BaseURL: "https://carrier.example/shipping/v1", Transport: rt})
				if err != nil {
					t.Fatal(err)
				}
				r := c.GetAccount(ctx, chargeAccount(asked), 1)
				if r.Outcome != tt.want || rt.calls != tt.calls {
					t.Errorf("%s after %d calls (%v), want %s after %d", r.Outcome, rt.calls, r.Cause, tt.want, tt.calls)
				}
				if tt.took == jittered && (r.Latency < 0 || r.Latency >= longestJitter) || tt.took != jittered && r.Latency != tt.took {
					t.Errorf("it took %v, want %v", r.Latency, tt.took)
				}
				if tt.want == carrier.OutcomeTimeout && !errors.Is(r.Cause, context.DeadlineExceeded) {
					t.Errorf("cause = %v, want a deadline", r.Cause)
				}
				checkCanaries(t, r)
			})
		})
	}
}

func TestGetAccountCancelled(t *testing.T) {
	tests := []struct {
		name  string
		after time.Duration
		do    func(n int, r *http.Request) (*http.Response, error)
		calls int
	}{
		{"before", 0, nil, 0},
		{"within a call", time.Second, func(_ int, r *http.Request) (*http.Response, error) { return never(r) }, 1},
		{"within the pause", time.Second, func(int, *http.Request) (*http.Response, error) { return response(401, refusedBody), nil }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if tt.after == 0 {
					cancel()
				}
				defer time.AfterFunc(tt.after, cancel).Stop()
				rt := &roundTripper{do: tt.do}
				c, err := New(Options{BaseURL: "https://carrier.example/shipping/v1", Transport: rt})
				if err != nil {
					t.Fatal(err)
				}
				r := c.GetAccount(ctx, chargeAccount(asked), 1)
				if r.Outcome != carrier.OutcomeTimeout || !errors.Is(r.Cause, context.Canceled) || rt.calls != tt.calls {
					t.Errorf("%s (%v) after %d calls, want a cancelled timeout after %d", r.Outcome, r.Cause, rt.calls, tt.calls)
				}
				if r.Latency != tt.after {
					t.Errorf("it took %v, want %v", r.Latency, tt.after)
				}
			})
		})
	}
}

func TestGetAccountRequest(t *testing.T) {
	var steps [][2]int
	rt := &roundTripper{do: func(n int, r *http.Request) (*http.Response, error) {
		check, attempt := StepOf(r.Context())
		steps = append(steps, [2]int{check, attempt})
		if r.Method != http.MethodGet || r.URL.String() != "https://carrier.example/test/shipping/v1/accounts/0009912345" {
			t.Errorf("request is %s %s", r.Method, r.URL)
		}
		if key, secret, ok := r.BasicAuth(); !ok || key != canaryKey || secret != canarySecret {
			t.Errorf("BasicAuth = %q, %q, %v", key, secret, ok)
		}
		r.Header.Del("Authorization")
		want := http.Header{"Account-Number": {asked}, "Accept": {"application/json"}, "User-Agent": {userAgent}}
		if d := cmp.Diff(want, r.Header); d != "" {
			t.Errorf("header -want +got:\n%s", d)
		}
		return response([]int{500, 200}[n-1], fineBody), nil
	}}
	c, err := New(Options{
		BaseURL: "https://carrier.example/test/shipping/v1/", Transport: rt,
		Sleep: func(context.Context, time.Duration) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := c.GetAccount(t.Context(), chargeAccount(asked), 4); r.Outcome != carrier.OutcomeOK {
		t.Errorf("outcome = %s (%v), want ok", r.Outcome, r.Cause)
	}
	if d := cmp.Diff([][2]int{{4, 1}, {4, 2}}, steps); d != "" {
		t.Errorf("steps -want +got:\n%s", d)
	}
}

// TestGetAccountOddNumbers: a number that passed Preflight by mistake must not reach
// another path.
func TestGetAccountOddNumbers(t *testing.T) {
	tests := []struct{ name, number, path string }{
		{"empty", "", ""},
		{"dot", ".", ""},
		{"dots", "..", ""},
		{"line break", "1\r\nX: y", ""},
		{"blank", "1 2", ""},
		{"not ASCII", "１２", ""},
		{"slashes", "../../x", "/shipping/v1/accounts/..%2F..%2Fx"},
		{"query", "1?x=1#y", "/shipping/v1/accounts/1%3Fx=1%23y"},
		{"percent", "%2e%2e", "/shipping/v1/accounts/%252e%252e"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var path string
			rt := &roundTripper{do: func(_ int, r *http.Request) (*http.Response, error) {
				path = r.URL.RequestURI()
				return response(400, `{"errors":[{"code":"41001"}]}`), nil
			}}
			c, err := New(Options{BaseURL: "https://carrier.example/shipping/v1", Transport: rt})
			if err != nil {
				t.Fatal(err)
			}
			r := c.GetAccount(t.Context(), chargeAccount(tt.number), 1)
			if path != tt.path {
				t.Errorf("path of %q = %q, want %q", tt.number, path, tt.path)
			}
			if want := carrier.OutcomeMalformed; tt.path == "" && (r.Outcome != want || r.Cause == nil) {
				t.Errorf("outcome of %q = %s, want %s with a cause", tt.number, r.Outcome, want)
			}
		})
	}
}

// rawServer serves each connection with raw bytes.
func rawServer(t *testing.T, serve func(n int, request *http.Request, w net.Conn)) (base string, connections *atomic.Int64) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int64)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n := int(connections.Add(1))
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					serve(n, r, conn)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	return "http://" + listener.Addr().String() + "/shipping/v1", connections
}

func TestGetAccountHostileAnswers(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	send := func(s string) func(int, *http.Request, net.Conn) {
		return func(_ int, _ *http.Request, w net.Conn) { _, _ = io.WriteString(w, s) }
	}
	// flood writes until the client hangs up, a gigabyte at most.
	flood := func(w io.Writer, chunk string) (written int) {
		for written < 1<<30 {
			n, err := io.WriteString(w, chunk)
			written += n
			if err != nil {
				return written
			}
		}
		return written
	}
	spaces := strings.Repeat(" ", 32<<10)
	var flooded atomic.Int64
	tests := []struct {
		name        string
		serve       func(n int, r *http.Request, w net.Conn)
		want        carrier.Outcome
		connections int64
	}{
		{"closes at once", send(""), carrier.OutcomeUnavailable, 2},
		{"closes once, then fine", func(n int, _ *http.Request, w net.Conn) {
			if n > 1 {
				_, _ = io.WriteString(w, head+"Connection: close\r\n\r\n"+fineBody)
			}
		}, carrier.OutcomeOK, 2},
		{"closes within the body", send(head + "Content-Length: 100\r\n\r\n{"), carrier.OutcomeUnavailable, 2},
		{"resets", func(_ int, _ *http.Request, w net.Conn) {
			if tcp, ok := w.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
		}, carrier.OutcomeUnavailable, 2},
		{"not HTTP, echoes the request", func(_ int, r *http.Request, w net.Conn) {
			_, _ = fmt.Fprintf(w, "%s %s %s\r\n\r\n", r.URL, r.Header.Get("Authorization"), canaryKey)
		}, carrier.OutcomeUnavailable, 2},
		{"broken header, echoes the request", func(_ int, r *http.Request, w net.Conn) {
			_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\n%s %s\r\n\r\n", r.URL, r.Header.Get("Authorization"))
		}, carrier.OutcomeUnavailable, 2},
		{"broken chunks", send(head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), carrier.OutcomeUnavailable, 2},
		{"error, echoes the request", func(_ int, r *http.Request, w net.Conn) {
			body := `{"errors":[{"code":"` + canaryKey + `","name":"` + r.URL.String() + `","message":"` + canarySecret + `"}]}`
			_, _ = fmt.Fprintf(w, "HTTP/1.1 400 "+canaryKey+"\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}, carrier.OutcomeUnexpected, 1},
		{"huge header", func(_ int, _ *http.Request, w net.Conn) {
			_, _ = io.WriteString(w, head+"X: ")
			flooded.Store(int64(flood(w, strings.Repeat("x", 32<<10))))
		}, carrier.OutcomeUnavailable, 2},
		{"endless headers", func(_ int, _ *http.Request, w net.Conn) {
			_, _ = io.WriteString(w, head)
			flooded.Store(int64(flood(w, strings.Repeat("X: y\r\n", 4<<10))))
		}, carrier.OutcomeUnavailable, 2},
		{"gigabyte body", func(_ int, _ *http.Request, w net.Conn) {
			_, _ = io.WriteString(w, head+"Content-Length: 1073741824\r\n\r\n{")
			flooded.Store(int64(flood(w, spaces)))
		}, carrier.OutcomeUnreadable, 1},
		{"gigabyte body of a 500", func(_ int, _ *http.Request, w net.Conn) {
			_, _ = io.WriteString(w, "HTTP/1.1 500 no\r\nContent-Length: 1073741824\r\n\r\n{")
			flooded.Store(int64(flood(w, spaces)))
		}, carrier.OutcomeUnavailable, 2},
		{"gigabyte body of a 429", func(_ int, _ *http.Request, w net.Conn) {
			_, _ = io.WriteString(w, "HTTP/1.1 429 no\r\nContent-Length: 1073741824\r\n\r\n{")
			flooded.Store(int64(flood(w, spaces)))
		}, carrier.OutcomeRateLimited, 1},
		{"gzip bomb", func(_ int, _ *http.Request, w net.Conn) {
			_, _ = io.WriteString(w, head+"Content-Encoding: gzip\r\n\r\n")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, `{"account_number":"`+asked+`"`)
			_ = flood(z, strings.Repeat(" ", 1<<20)) // a megabyte on the wire
		}, carrier.OutcomeUnreadable, 1},
		{"broken gzip", send(head + "Content-Encoding: gzip\r\n\r\n" + fineBody), carrier.OutcomeUnreadable, 1},
		{"gzip that breaks off", send(head + "Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff"), carrier.OutcomeUnreadable, 1},
		{"an encoding that was not requested", send(head + "Content-Encoding: br\r\n\r\n\x0b\x02\x80{}\x03"), carrier.OutcomeUnreadable, 1},
		{"deep nesting", send(head + "\r\n" + strings.Repeat(`{"a":[`, 100_000)), carrier.OutcomeUnreadable, 1},
		{"switching protocols", send("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), carrier.OutcomeUnreadable, 1},
		{"redirect into the cloud", send("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n\r\n"), carrier.OutcomeUnreadable, 1},
		{"redirect to a path", send("HTTP/1.1 307 Found\r\nLocation: /shipping/v1/accounts/1\r\nContent-Length: 0\r\n\r\n"), carrier.OutcomeUnreadable, 1},
		{"slow drip", func(_ int, _ *http.Request, w net.Conn) {
			_, _ = io.WriteString(w, head+"\r\n")
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := io.WriteString(w, " "); err != nil {
					return
				}
			}
		}, carrier.OutcomeTimeout, 1},
		{"silence after the header", func(_ int, _ *http.Request, w net.Conn) {
			_, _ = io.WriteString(w, head+"Content-Length: 10\r\n\r\n")
			_, _ = io.Copy(io.Discard, w) // until the client hangs up
		}, carrier.OutcomeTimeout, 1},
		{"silence", func(_ int, _ *http.Request, w net.Conn) { _, _ = io.Copy(io.Discard, w) }, carrier.OutcomeTimeout, 1},
		{"chunks of one byte", func(_ int, _ *http.Request, w net.Conn) {
			_, _ = io.WriteString(w, head+"Transfer-Encoding: chunked\r\n\r\n")
			for i := range len(fineBody) {
				_, _ = io.WriteString(w, "1\r\n"+fineBody[i:i+1]+"\r\n")
			}
			_, _ = io.WriteString(w, "0\r\n\r\n")
		}, carrier.OutcomeOK, 1},
		{"gzip", func(_ int, _ *http.Request, w net.Conn) {
			_, _ = io.WriteString(w, head+"Content-Encoding: gzip\r\n\r\n")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, fineBody)
			_ = z.Close()
		}, carrier.OutcomeOK, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			flooded.Store(0)
			base, connections := rawServer(t, tt.serve)
			transport := newTransport()
			dial := transport.DialContext
			var foreign []string
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				if !strings.Contains(base, address) {
					foreign = append(foreign, address)
				}
				return dial(ctx, network, address)
			}
			defer transport.CloseIdleConnections()
			timeout := 20 * time.Second
			if tt.want == carrier.OutcomeTimeout {
				timeout = time.Second // long enough for a busy machine to connect
			}
			c, err := New(Options{
				BaseURL: base, Transport: transport, AttemptTimeout: timeout,
				Sleep: func(context.Context, time.Duration) error { return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			r := c.GetAccount(t.Context(), chargeAccount(asked), 1)
			if r.Outcome != tt.want {
				t.Errorf("outcome = %s (%v), want %s", r.Outcome, r.Cause, tt.want)
			}
			if got := connections.Load(); got != tt.connections {
				t.Errorf("%d connections were made, want %d", got, tt.connections)
			}
			if len(foreign) > 0 {
				t.Errorf("connections were made to %v", foreign)
			}
			if got := flooded.Load(); got > 64<<20 {
				t.Errorf("the client let the server send %d bytes", got)
			}
			checkCanaries(t, r)
		})
	}
}

// TestAnswerOverALimit: an answer is unreadable, and is known to be too large.
func TestAnswerOverALimit(t *testing.T) {
	products := func(n int) string {
		return `{"account_number":"` + asked + `","postage_products":[` + strings.TrimSuffix(strings.Repeat(`{},`, n), ",") + `]}`
	}
	for name, tt := range map[string]struct {
		body     string
		want     carrier.Outcome
		tooLarge bool
	}{
		"over 1 MiB":     {products(1) + strings.Repeat(" ", maxBody), carrier.OutcomeUnreadable, true},
		"1,001 products": {products(1001), carrier.OutcomeUnreadable, true},
		"broken":         {products(1) + "x", carrier.OutcomeUnreadable, false},
		"1,000 products": {products(1000), carrier.OutcomeOK, false},
	} {
		c, err := New(Options{BaseURL: "https://carrier.example/shipping/v1", Transport: &roundTripper{do: func(int, *http.Request) (*http.Response, error) { return response(200, tt.body), nil }}})
		if err != nil {
			t.Fatal(err)
		}
		if r := c.GetAccount(t.Context(), chargeAccount(asked), 1); r.Outcome != tt.want || errors.Is(r.Cause, connection.ErrTooLarge) != tt.tooLarge {
			t.Errorf("%s: %s, %v", name, r.Outcome, r.Cause)
		}
	}
	got, _ := track(t, func(int, *http.Request) (*http.Response, error) {
		return response(200, results(many("AAA", maxParts+1))), nil
	}, allowed, "AAA")
	if err := got["AAA"].Err; !errors.Is(err, connection.ErrTooLarge) || fault.Of(err)[0].Message != connection.ErrTooLarge.Message {
		t.Errorf("too many articles: %v", err)
	}
}

func TestGetAccountNoConnection(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS() // with a certificate that no authority signed
	defer tls.Close()
	for name, base := range map[string]string{"refused": server.URL, "certificate": tls.URL, "not TLS": strings.Replace(tls.URL, "https:", "http:", 1)} {
		c, err := New(Options{BaseURL: base + "/shipping/v1", Sleep: func(context.Context, time.Duration) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		r := c.GetAccount(t.Context(), chargeAccount(asked), 1)
		if name == "not TLS" { // the server answers 400 in plain text
			if r.Outcome != carrier.OutcomeUnreadable {
				t.Errorf("%s: %s (%v), want unreadable", name, r.Outcome, r.Cause)
			}
			continue
		}
		if r.Outcome != carrier.OutcomeUnavailable || r.HTTPStatus != 0 || r.Cause == nil {
			t.Errorf("%s: %s, status %d, cause %v", name, r.Outcome, r.HTTPStatus, r.Cause)
		}
		checkCanaries(t, r)
	}
}

// TestGetAccountKeepsConnections: 200 checks, 50 at a time, do not open 200 connections.
func TestGetAccountKeepsConnections(t *testing.T) {
	var made atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, fineBody)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			made.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c, err := New(Options{BaseURL: server.URL + "/shipping/v1"})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if r := c.GetAccount(t.Context(), chargeAccount(asked), 1); r.Outcome != carrier.OutcomeOK {
					t.Errorf("outcome = %s (%v)", r.Outcome, r.Cause)
				}
			})
		}
		wg.Wait()
	}
	if made.Load() > 100 {
		t.Errorf("200 checks, 50 at a time, opened %d connections", made.Load())
	}
}
