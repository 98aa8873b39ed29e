package outbound

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var local = Rules{AllowLoopback: true}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// serve starts a receiver on loopback that treats each connection as it likes.
func serve(t *testing.T, treat func(net.Conn)) (url string) {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { treat(conn); _ = conn.Close() }()
		}
	}()
	return "http://" + l.Addr().String() + "/hook"
}

// raw reads a request and sends bytes as the answer.
func raw(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(conn, answer)
		}
	}
}

// tlsServer starts a receiver whose certificate is for example.com.
func tlsServer(t *testing.T, config *tls.Config) (port string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	s.TLS = config
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, roots
}

// TestSendFails: every failure is one of the package's errors, whose texts are fixed; so
// none quotes a URL, an address or an answer.
func TestSendFails(t *testing.T) {
	port, roots := tlsServer(t, &tls.Config{})
	oldPort, oldRoots := tlsServer(t, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	plain := serve(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	deaf := serve(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	unused := listen(t)
	unused.Close()
	for _, tc := range []struct {
		name, url string
		options   Options
		want      error
	}{
		{"unreadable URL", "https://[::1/", Options{Rules: local}, ErrAddress},
		{"http", "http://a.example/", Options{Rules: local}, ErrAddress},
		{"loopback", plain, Options{}, ErrAddress},
		{"metadata", "https://169.254.169.254/latest/meta-data/", Options{Rules: local}, ErrAddress},
		{"credentials", "https://me:secret@a.example/", Options{Rules: local}, ErrAddress},
		{"unknown name", "https://a.example/", Options{Rules: local, Resolver: names(t, func(string) []string { return nil })}, ErrName},
		{"nobody listens", "http://" + unused.Addr().String() + "/", Options{Rules: local}, ErrConnection},
		{"reset before the answer", serve(t, func(conn net.Conn) {
			raw("")(conn)
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
		}), Options{Rules: local}, ErrConnection},
		{"end before the answer", serve(t, raw("")), Options{Rules: local}, ErrConnection},
		{"reset within the header", serve(t, raw("HTTP/1.1 200 OK\r\nX: y")), Options{Rules: local}, ErrConnection},
		{"no HTTP", serve(t, raw("SSH-2.0-OpenSSH_9.9\r\n")), Options{Rules: local}, ErrConnection},
		{"header without an end", serve(t, raw("HTTP/1.1 200 OK\r\n"+strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 1000))), Options{Rules: local}, ErrConnection},
		{"information without an end", serve(t, raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 10000))), Options{Rules: local}, ErrConnection},
		{"end of the TLS handshake", "https" + strings.TrimPrefix(serve(t, func(net.Conn) {}), "http"), Options{Rules: local}, ErrTLS},
		{"no TLS handshake", "https" + strings.TrimPrefix(deaf, "http"), Options{Rules: local, Timeout: 50 * time.Millisecond}, ErrTimeout},
		{"no answer", deaf, Options{Rules: local, Timeout: 50 * time.Millisecond}, ErrTimeout},
		{"no TLS", "https" + strings.TrimPrefix(plain, "http"), Options{Rules: local}, ErrTLS},
		{"TLS of another host", "https://other.example:" + port, Options{Rules: local, Roots: roots, Resolver: names(t, toLoopback)}, ErrTLS},
		{"TLS of an unknown authority", "https://example.com:" + port, Options{Rules: local, Resolver: names(t, toLoopback)}, ErrTLS},
		{"old TLS", "https://example.com:" + oldPort, Options{Rules: local, Roots: oldRoots, Resolver: names(t, toLoopback)}, ErrTLS},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := New(tc.options).Send(t.Context(), tc.url, http.Header{"X-Key": {"hunter2"}}, []byte(`{}`))
			if !errors.Is(err, tc.want) || err.Error() != tc.want.Error() {
				t.Errorf("Send = %v, want %v", err, tc.want)
			}
			if diff := cmp.Diff(Result{}, got, cmpopts.IgnoreFields(Result{}, "Latency")); diff != "" {
				t.Errorf("Result (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNameThatChanges: the name has a public address when its URL is saved and a private
// one when it is connected to.
func TestNameThatChanges(t *testing.T) {
	var asked atomic.Int32
	url := serve(t, func(net.Conn) { t.Error("the receiver got a connection") })
	port := url[strings.LastIndex(url, ":")+1 : len(url)-len("/hook")]
	resolver := names(t, func(string) []string {
		if asked.Add(1) <= 2 { // A and AAAA
			return []string{"8.8.8.8"}
		}
		return []string{"127.0.0.1"}
	})
	target := "https://rebinding.example:" + port + "/hook"
	if problem := (Checker{Resolver: resolver}).Check(t.Context(), "url", target); problem != nil {
		t.Fatalf("Check = %v, want nil", problem)
	}
	if _, err := New(Options{Resolver: resolver}).Send(t.Context(), target, nil, nil); !errors.Is(err, ErrAddress) {
		t.Errorf("Send = %v, want %v", err, ErrAddress)
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("%d questions, want 4: one pair for the check, one for the connection", n)
	}
}

// TestHeadersThatAreNoHeaders: rules for headers are the webhook's, but nothing leaves
// that would become another header or another request.
func TestHeadersThatAreNoHeaders(t *testing.T) {
	url := serve(t, func(conn net.Conn) {
		if b, _ := io.ReadAll(conn); len(b) > 0 {
			t.Errorf("the receiver got %q", b)
		}
	})
	for _, h := range []http.Header{
		{"X-Key": {"a\r\nX-Other: b"}},
		{"X-Key": {"a\nb"}},
		{"X-Key": {"a\x00"}},
		{"X-Key\r\nX-Other": {"a"}},
		{"X Key": {"a"}},
		{"": {"a"}},
	} {
		if r, err := New(Options{Rules: local}).Send(t.Context(), url, h, nil); !errors.Is(err, ErrConnection) {
			t.Errorf("Send(%q) = %v, %v, want %v", h, r, err, ErrConnection)
		}
	}
}

func TestSend(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, answer string
		want         Result
	}{
		{"gone", "HTTP/1.1 410 Gone\r\nContent-Length: 3\r\n\r\nbye", Result{Status: 410, Answer: []byte("bye")}},
		{"internal error", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", Result{Status: 500, Answer: []byte{}}},
		{
			"redirect to metadata", "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n\r\n",
			Result{Status: 302, Answer: []byte{}},
		},
		{"busy, in seconds", "HTTP/1.1 429 Busy\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n", Result{Status: 429, RetryAfter: 90 * time.Second, Answer: []byte{}}},
		{
			"busy, until a date", "HTTP/1.1 503 Busy\r\nRetry-After: Sat, 28 Nov 2026 12:10:00 GMT\r\nContent-Length: 0\r\n\r\n",
			Result{Status: 503, RetryAfter: 10 * time.Minute, Answer: []byte{}},
		},
		{"busy for a year", "HTTP/1.1 503 Busy\r\nRetry-After: 31536000\r\nContent-Length: 0\r\n\r\n", Result{Status: 503, RetryAfter: 24 * time.Hour, Answer: []byte{}}},
		{"answer that ends early", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Result{Status: 200, Answer: []byte("abc")}},
		{"answer with broken chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz", Result{Status: 200, Answer: []byte("abc")}},
		{"compressed answer", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", Result{Status: 200, Answer: []byte("abc")}},
		{"answer of 64 KiB and a byte", "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 64<<10) + "y", Result{Status: 200, Answer: bytes.Repeat([]byte("x"), 64<<10)}},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", Result{Status: 204, Answer: []byte{}}},
		{"success", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Result{Status: 200, Answer: []byte("ok")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := New(Options{Rules: local, Now: func() time.Time { return now }}).Send(t.Context(), serve(t, raw(tc.answer)), nil, []byte(`{}`))
			if err != nil || got.Latency <= 0 {
				t.Errorf("Send = latency %v, error %v; want some, nil", got.Latency, err)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(Result{}, "Latency")); diff != "" {
				t.Errorf("Send (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSwitchingProtocols: a receiver that switches protocols and keeps the connection open
// holds nobody up, whether it writes or not.
func TestSwitchingProtocols(t *testing.T) {
	ended := make(chan error, 1)
	treat := func(writes bool) func(conn net.Conn) {
		return func(conn net.Conn) {
			raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\nRetry-After: 9\r\n\r\n")(conn)
			if writes {
				_, _ = io.WriteString(conn, "abc")
			}
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			_, err := io.Copy(io.Discard, conn)
			ended <- err
		}
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler()) // for its certificate
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	overTLS := func(treat func(net.Conn)) func(net.Conn) {
		return func(conn net.Conn) { treat(tls.Server(conn, &tls.Config{Certificates: s.TLS.Certificates})) }
	}
	secure := func(url string) string {
		return "https://example.com:" + url[strings.LastIndex(url, ":")+1:]
	}
	for name, url := range map[string]string{
		"http": serve(t, treat(false)), "http, writes": serve(t, treat(true)),
		"TLS": secure(serve(t, overTLS(treat(false)))), "TLS, writes": secure(serve(t, overTLS(treat(true)))),
	} {
		t.Run(name, func(t *testing.T) {
			type sent struct {
				got Result
				err error
			}
			done := make(chan sent, 1)
			go func() {
				got, err := New(Options{Rules: local, Roots: roots, Resolver: names(t, toLoopback)}).Send(t.Context(), url, nil, []byte(`{}`))
				done <- sent{got, err}
			}()
			select {
			case s := <-done:
				if diff := cmp.Diff(Result{Status: 101}, s.got, cmpopts.IgnoreFields(Result{}, "Latency")); diff != "" || s.err != nil {
					t.Errorf("Send = %v, result (-want +got):\n%s", s.err, diff)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("Send has not returned after 10 s")
			}
			if err := <-ended; err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection was left open")
			}
		})
	}
}

// TestRequest: what a receiver gets.
func TestRequest(t *testing.T) {
	type request struct {
		Method, URI, Host, Body string
		Header                  http.Header
	}
	got := make(chan request, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- request{r.Method, r.RequestURI, r.Host, string(b), r.Header}
	}))
	defer s.Close()
	header := http.Header{"X-Key": {"hunter2"}, "Content-Type": {"text/plain"}, "User-Agent": {"me"}, "Webhook-Id": {"se-1"}}
	if _, err := New(Options{Rules: local}).Send(t.Context(), s.URL+"/hook?a=b%20c", header, []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	want := request{"POST", "/hook?a=b%20c", strings.TrimPrefix(s.URL, "http://"), `{"a":1}`, http.Header{
		"X-Key": {"hunter2"}, "Content-Type": {"application/json"}, "User-Agent": {userAgent}, "Webhook-Id": {"se-1"}, "Content-Length": {"7"},
	}}
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if header.Get("User-Agent") != "me" {
		t.Error("Send has changed its caller's header")
	}
}

// TestConnections: requests to one receiver share a connection until CloseIdle.
func TestConnections(t *testing.T) {
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := New(Options{Rules: local})
	for i, want := range []int32{1, 1, 2} {
		if i == 2 {
			c.CloseIdle()
		}
		if _, err := c.Send(t.Context(), s.URL, nil, nil); err != nil {
			t.Fatal(err)
		}
		if n := connections.Load(); n != want {
			t.Errorf("%d connections after request %d, want %d", n, i+1, want)
		}
	}
}

// TestTLS: a certificate of a known authority for the host of the URL.
func TestTLS(t *testing.T) {
	port, roots := tlsServer(t, &tls.Config{})
	got, err := New(Options{Rules: local, Roots: roots, Resolver: names(t, toLoopback)}).Send(t.Context(), "https://example.com:"+port+"/", nil, nil)
	if err != nil || got.Status != 204 {
		t.Errorf("Send = %d, %v, want 204, nil", got.Status, err)
	}
}

// TestHugeAnswer: of a gigabyte the sender takes what it reads and what the network holds.
func TestHugeAnswer(t *testing.T) {
	sent := make(chan int, 1)
	url := serve(t, func(conn net.Conn) {
		raw("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")(conn)
		part, total := make([]byte, 1<<20), 0
		for total < 1<<30 {
			n, err := conn.Write(part)
			total += n
			if err != nil {
				break
			}
		}
		sent <- total
	})
	got, err := New(Options{Rules: local}).Send(t.Context(), url, nil, nil)
	if err != nil || got.Status != 200 || len(got.Answer) != maxAnswer {
		t.Errorf("Send = %d with %d bytes, %v; want 200 with %d, nil", got.Status, len(got.Answer), err, maxAnswer)
	}
	if n := <-sent; n > 64<<20 {
		t.Errorf("the receiver has sent %d bytes", n)
	}
}

// TestTime is about receivers that take their time, in virtual time.
func TestTime(t *testing.T) {
	until := func(conn net.Conn, d time.Duration, text string) {
		if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
			time.Sleep(d)
			_, _ = io.WriteString(conn, text)
		}
	}
	for _, tc := range []struct {
		name     string
		treat    func(net.Conn)
		deadline time.Duration // of the caller; zero: none
		status   int
		answer   string
		err      error
		took     time.Duration
	}{
		{"hangs", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, 0, 0, "", ErrTimeout, 15 * time.Second},
		{"does not even read", func(net.Conn) { time.Sleep(time.Hour) }, 0, 0, "", ErrTimeout, 15 * time.Second},
		{"answers after 20 s", func(conn net.Conn) { until(conn, 20*time.Second, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }, 0, 0, "", ErrTimeout, 15 * time.Second},
		{"header that trickles", func(conn net.Conn) {
			until(conn, 0, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(conn, "X: y\r\n"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, 0, 0, "", ErrTimeout, 15 * time.Second},
		{"caller's time is over", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, 3 * time.Second, 0, "", context.DeadlineExceeded, 3 * time.Second},
		{"body that trickles", func(conn net.Conn) {
			until(conn, 0, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
			for {
				if _, err := io.WriteString(conn, "x"); err != nil {
					return
				}
				time.Sleep(1500 * time.Millisecond)
			}
		}, 0, 200, "xx", nil, 2 * time.Second},
		{"body that never comes", func(conn net.Conn) {
			until(conn, 0, "HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}, 0, 500, "", nil, 2 * time.Second},
		{"answers after 14 s", func(conn net.Conn) { until(conn, 14*time.Second, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }, 0, 200, "", nil, 14 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(Options{Rules: local})
				c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
					client, server := net.Pipe()
					go func() { tc.treat(server); _ = server.Close() }()
					return client, nil
				}
				ctx := t.Context()
				if tc.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.deadline)
					defer cancel()
				}
				start := time.Now()
				got, err := c.Send(ctx, "http://127.0.0.1/", nil, []byte(`{}`))
				if took := time.Since(start); got.Status != tc.status || string(got.Answer) != tc.answer || !errors.Is(err, tc.err) || took != tc.took {
					t.Errorf("Send = %d %q, %v after %v; want %d %q, %v after %v", got.Status, got.Answer, err, took, tc.status, tc.answer, tc.err, tc.took)
				}
				c.CloseIdle()
				time.Sleep(2 * time.Hour) // virtual: until the receiver has ended, too
			})
		})
	}
	t.Run("no answer of DNS", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := New(Options{Rules: local, Resolver: deafNames()}).Send(t.Context(), "https://a.example/", nil, nil)
			if took := time.Since(start); !errors.Is(err, ErrTimeout) || took != dialTime {
				t.Errorf("Send = %v after %v, want %v after %v", err, took, ErrTimeout, dialTime)
			}
			time.Sleep(time.Hour) // virtual: until the resolver has given up
		})
	})
}
