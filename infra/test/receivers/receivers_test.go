package receivers_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/receivers"
	"carrierlink/shared/outbound"
	"carrierlink/shared/secret"
	"carrierlink/shared/webhook"
)

// TestReceivers: each program of the README accepts what the service signs, and nothing else.
func TestReceivers(t *testing.T) {
	for _, language := range receivers.Languages() {
		t.Run(string(language), func(t *testing.T) {
			t.Parallel()
			own, other := newSecret(t, 1), newSecret(t, 2)
			port, err := emulator.FreePort(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r, err := receivers.Start(t.Context(), language, t.TempDir(), port, own.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			url := "http://127.0.0.1:" + strconv.Itoa(port) + "/"
			testReceiver(t, r, url, own, other)
			testAtOnce(t, r, url, own)
			if err := r.Stop(); err != nil {
				t.Errorf("Stop = %v", err)
			}
			for line := range r.Lines {
				t.Errorf("the receiver printed %q", line)
			}
		})
	}
}

func testReceiver(t *testing.T, r *receivers.Receiver, url string, own, other secret.Text) {
	t.Helper()
	const body = `{"event_id":"se-1","event":"carrier_connected","data":{"nickname":"Bücher & Söhne","name":"a b"}}`
	signature := func(change func(string) string) func(http.Header) {
		return func(h http.Header) { h.Set("Webhook-Signature", change(h.Get("Webhook-Signature"))) }
	}
	set := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	for _, tc := range []struct {
		name    string
		secrets []secret.Text
		age     time.Duration
		body    string
		change  func(http.Header)
		want    bool
	}{
		{"another secret", []secret.Text{other}, 0, body, nil, false},
		{"another body", []secret.Text{own}, 0, body + " ", nil, false},
		{"no body", []secret.Text{own}, 0, "", nil, false},
		{"another id", []secret.Text{own}, 0, body, set("Webhook-Id", "se-2"), false},
		{"another time", []secret.Text{own}, 0, body, set("Webhook-Timestamp", strconv.FormatInt(time.Now().Unix()-60, 10)), false},
		{"no time", []secret.Text{own}, 0, body, set("Webhook-Timestamp", "now"), false},
		{"six minutes old", []secret.Text{own}, 6 * time.Minute, body, nil, false},
		{"six minutes too new", []secret.Text{own}, -6 * time.Minute, body, nil, false},
		{"no id", []secret.Text{own}, 0, body, func(h http.Header) { h.Del("Webhook-Id") }, false},
		{"no timestamp", []secret.Text{own}, 0, body, func(h http.Header) { h.Del("Webhook-Timestamp") }, false},
		{"no signature", []secret.Text{own}, 0, body, func(h http.Header) { h.Del("Webhook-Signature") }, false},
		{"signature without a version", []secret.Text{own}, 0, body, signature(func(s string) string { return strings.TrimPrefix(s, "v1,") }), false},
		{"signature of another version", []secret.Text{own}, 0, body, signature(func(s string) string { return "v2" + s[2:] }), false},
		{"signature that is cut", []secret.Text{own}, 0, body, signature(func(s string) string { return s[:len(s)-4] }), false},
		{"signature that is no Base64", []secret.Text{own}, 0, body, set("Webhook-Signature", "v1,***"), false},
		{"empty signature", []secret.Text{own}, 0, body, set("Webhook-Signature", "v1,"), false},

		{"four minutes old", []secret.Text{own}, 4 * time.Minute, body, nil, true},
		{"during a rotation, the older one", []secret.Text{other, own}, 0, body, nil, true},
		{"during a rotation, the newer one", []secret.Text{own, other}, 0, body, nil, true},
		{"as it should be", []secret.Text{own}, 0, body, nil, true},
	} {
		header := http.Header{}
		if err := webhook.Sign(header, "se-1", time.Now().Add(-tc.age), []byte(body), tc.secrets); err != nil {
			t.Fatal(err)
		}
		if tc.change != nil {
			tc.change(header)
		}
		got, err := outbound.New(outbound.Options{Rules: outbound.Rules{AllowLoopback: true}}).Send(t.Context(), url, header, []byte(tc.body))
		want := map[bool]int{true: http.StatusNoContent, false: http.StatusUnauthorized}[tc.want]
		if err != nil || got.Status != want {
			t.Errorf("%s: %d, %v, want %d", tc.name, got.Status, err, want)
		}
		if got.Status == http.StatusNoContent {
			if line := <-r.Lines; line != "se-1 "+body {
				t.Errorf("%s: the receiver printed %q, want the id and the body", tc.name, line)
			}
		}
	}
}

// testAtOnce: the lines of events that come at the same time do not mix.
func testAtOnce(t *testing.T, r *receivers.Receiver, url string, own secret.Text) {
	t.Helper()
	client := outbound.New(outbound.Options{Rules: outbound.Rules{AllowLoopback: true}})
	const events = 200
	var group sync.WaitGroup
	want := map[string]bool{}
	for i := range events {
		id, body := fmt.Sprint("se-", i), fmt.Sprintf(`{"n":%d,"text":"%s"}`, i, strings.Repeat("x", 10_000))
		want[id+" "+body] = true
		header := http.Header{}
		if err := webhook.Sign(header, id, time.Now(), []byte(body), []secret.Text{own}); err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			if got, err := client.Send(t.Context(), url, header, []byte(body)); err != nil || got.Status != http.StatusNoContent {
				t.Errorf("%s: %d, %v, want 204", id, got.Status, err)
			}
		})
		if i%8 == 7 { // as many as the service sends to a webhook at a time
			group.Wait()
		}
	}
	group.Wait()
	for range events {
		line := <-r.Lines
		if !want[line] {
			t.Fatalf("the receiver printed %.100q, which is no event, or one that it has printed", line)
		}
		delete(want, line)
	}
}

func newSecret(t *testing.T, seed byte) secret.Text {
	t.Helper()
	s, err := webhook.NewSecret(bytes.NewReader(bytes.Repeat([]byte{seed}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
