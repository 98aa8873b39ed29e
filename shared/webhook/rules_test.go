package webhook_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
	"carrierlink/shared/webhook"
)

func TestParseID(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "se-", "se-A", "1234", "se-12_3", "se-" + strings.Repeat("1", 23), "xx-1", "se-1\n"} {
		if got, err := webhook.ParseID(s); !fault.Is(err, fault.Identifier) || got != "" {
			t.Errorf("ParseID(%q) = %q, %v, want an identifier's error", s, got, err)
		}
	}
	if _, err := webhook.NewID(strings.NewReader("short")); err == nil {
		t.Error("NewID without randomness")
	}
	id, err := webhook.NewID(rand.Reader)
	if err != nil || len(id) != 19 {
		t.Fatalf("NewID = %q, %v", id, err)
	}
	for _, s := range []string{id, "se-1", "se-" + strings.Repeat("z", 22)} {
		if got, err := webhook.ParseID(s); err != nil || got != s {
			t.Errorf("ParseID(%q) = %q, %v", s, got, err)
		}
	}
}

func TestParseEvents(t *testing.T) {
	t.Parallel()
	for name, names := range map[string][]string{
		"none": {}, "empty": {""}, "unknown": {"batch"}, "one unknown": {"carrier_connected", "rate"}, "twice": {"carrier_connected", "carrier_connected"},
		"* and another": {"*", "carrier_connected"}, "* twice": {"*", "*"}, "only in the audit log": {"webhook_created"}, "in capitals": {"CARRIER_CONNECTED"},
	} {
		if got, err := webhook.ParseEvents("events", names); err == nil || err.Kind != fault.Invalid || err.Field != "events" || got != nil {
			t.Errorf("%s: ParseEvents = %v, %v, want an error", name, got, err)
		}
	}
	all := make([]string, len(effects.EventTypes()))
	for i, kind := range effects.EventTypes() {
		all[len(all)-1-i] = string(kind)
	}
	for name, tc := range map[string]struct {
		names []string
		want  []effects.EventType
	}{
		"*":           {[]string{"*"}, []effects.EventType{webhook.AllEvents}},
		"one":         {[]string{"webhook_disabled"}, []effects.EventType{effects.WebhookDisabled}},
		"all, sorted": {all, effects.EventTypes()},
	} {
		got, err := webhook.ParseEvents("events", tc.names)
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func header(key, value string) webhook.Header {
	return webhook.Header{Key: key, Value: secret.New(value)}
}

func TestCheckHeaders(t *testing.T) {
	t.Parallel()
	many := make([]webhook.Header, 21)
	for i := range many {
		many[i] = header(fmt.Sprint("X-", i), "v")
	}
	large := strings.Repeat("v", 1024)
	bad := map[string][]webhook.Header{
		"no key": {header("", "v")}, "a blank": {header("X Y", "v")}, "a colon": {header("X:", "v")}, "a line break in a key": {header("X\r\nHost", "v")},
		"no ASCII": {header("X-é", "v")}, "a long key": {header(strings.Repeat("x", 65), "v")}, "twice": {header("X-Shop", "1"), header("x-shop", "2")},
		"no value": {header("X", "")}, "a line break": {header("X", "canary\r\nHost: x")}, "a line feed": {header("X", "canary\n")}, "a NUL": {header("X", "\x00")}, "a tab": {header("X", "a\tb")},
		"a value with é": {header("X", "é")}, "a blank at the end": {header("X", "canary ")}, "a long value": {header("X", large+"v")}, "too many": many,
		"too much": {header("A", large), header("B", large), header("C", large), header("D", large)},
	}
	for _, key := range []string{
		"Content-Type", "content-length", "Content-Encoding", "Host", "CONNECTION", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Expect", "Keep-Alive", "Proxy-Authorization",
		"User-Agent", "webhook-id", "Webhook-Signature", "X-Amz-Date", "x-amzn-trace-id", "X-Forwarded-For", "Forwarded", "Cookie", "Set-Cookie", "Accept-Encoding", "Date", "Via", "Sec-Fetch-Mode", "Range", "API-Key",
	} {
		bad[key] = []webhook.Header{header("X-Good", "v"), header(key, "v")}
	}
	for name, headers := range bad {
		err := webhook.CheckHeaders("headers", headers)
		if err == nil || err.Kind != fault.Invalid || err.Field != "headers" || strings.Contains(err.Error(), "canary") || strings.Contains(err.Message, "X-Good") {
			t.Errorf("%s: CheckHeaders = %v, want an error that quotes nothing", name, err)
		}
	}
	for name, headers := range map[string][]webhook.Header{
		"none": nil, "usual": {header("Authorization", "Bearer a.b-c_d~e+f/g=="), header("X-Api-Key", "k"), header("x_shop!", "a b  c")}, "twenty": many[:20],
		"the largest": {header("A", large), header("B", large), header("C", large), header("D", large[8:])},
	} {
		if err := webhook.CheckHeaders("headers", headers); err != nil {
			t.Errorf("%s: CheckHeaders = %v", name, err)
		}
	}
}

func TestWants(t *testing.T) {
	t.Parallel()
	event := func(kind effects.EventType, subject string) *effects.Event {
		return &effects.Event{Type: kind, Subject: subject}
	}
	some := webhook.Webhook{ID: "se-1", Events: []effects.EventType{effects.CarrierConnected}}
	all := webhook.Webhook{ID: "se-2", Events: []effects.EventType{webhook.AllEvents}}
	off := all
	off.DisabledAt = off.DisabledAt.AddDate(1, 0, 0)
	for name, tc := range map[string]struct {
		w    webhook.Webhook
		e    *effects.Event
		want bool
	}{
		"another type": {some, event(effects.CarrierUpdated, "se-7"), false}, "disabled": {off, event(effects.CarrierUpdated, "se-7"), false},
		"only in the audit log": {all, event(effects.WebhookCreated, "webhook se-2"), false}, "an operator's": {all, event(effects.PartnerDisabled, "partner 5"), false},
		"another's test": {all, event(effects.WebhookTest, "webhook se-1"), false}, "a test while disabled": {off, event(effects.WebhookTest, "webhook se-2"), false},
		"its type": {some, event(effects.CarrierConnected, "se-7"), true}, "all": {all, event(effects.AccountUpdated, "account"), true},
		"a later version's": {all, event("track", "se-7"), true}, "its test": {some, event(effects.WebhookTest, "webhook se-1"), true},
		"another is disabled": {all, event(effects.WebhookDisabled, "webhook se-9"), true},
	} {
		if got := tc.w.Wants(tc.e); got != tc.want {
			t.Errorf("%s: Wants = %t, want %t", name, got, tc.want)
		}
	}
}
