package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/mail"
	"carrierlink/shared/metrics"
	"carrierlink/shared/queue"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
	"carrierlink/shared/store"
	"carrierlink/shared/store/storetest"
)

const (
	owner  int64 = 71 // has an email
	silent int64 = 72 // has none
)

// fixture is a function with two accounts of partner 5, on a table in memory.
type fixture struct {
	*testing.T
	h     *handler
	table *storetest.Memory
	clock time.Time
	sent  []*sesv2.SendEmailInput
	fail  error // of SES
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, table: storetest.NewMemory(), clock: time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)}
	now := func() time.Time { return f.clock }
	f.h = &handler{
		store: f.table, sealer: sealer("one"), ses: f, from: "no-reply@carrierlink.example", url: "https://api.example.com", now: now,
		metrics: metrics.Recorder{Stage: "test", Now: now},
	}
	f.ok(f.table.CreatePartner(t.Context(), account.Partner{ID: 5, Name: "Acme Shops", Environment: carrier.Production}, account.APIKey{ID: 1, PartnerID: 5, Hash: "p"}, effects.Effects{}, f.clock))
	for _, a := range []account.Account{
		{ID: owner, PartnerID: 5, Active: true, Email: "Jo@BlueGum.example", EmailKey: "jo@bluegum.example", CompanyName: "Blue Gum Trading", Environment: carrier.Production, Version: 1},
		{ID: silent, PartnerID: 5, Active: true, Version: 1},
	} {
		f.ok(f.table.CreateAccount(t.Context(), account.NewAccount{Account: a, Key: account.APIKey{ID: a.ID, PartnerID: 5, AccountID: a.ID, Hash: a.CompanyName}}, effects.Effects{}, f.clock))
	}
	return f
}

func sealer(key string) *seal.Sealer {
	return seal.New(func(context.Context) (secret.Text, error) { return secret.New(key), nil }, time.Now)
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// SendEmail keeps the mail.
func (f *fixture) SendEmail(_ context.Context, in *sesv2.SendEmailInput, _ ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	f.sent = append(f.sent, in)
	return &sesv2.SendEmailOutput{}, nil
}

// subjects returns the subjects of the mails that were sent since the last call.
func (f *fixture) subjects() []string {
	var all []string
	for _, m := range f.sent {
		all = append(all, *m.Content.Simple.Subject.Data)
	}
	f.sent = nil
	return all
}

// bodies is a queue that keeps the bodies of messages.
type bodies struct {
	queue.API
	last string
}

// SendMessageBatch keeps the body.
func (b *bodies) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	b.last = *in.Entries[0].MessageBody
	return &sqs.SendMessageBatchOutput{}, nil
}

// body returns the body of a message of sign-in.
func (f *fixture) body(m mail.Message) string {
	f.Helper()
	b := &bodies{}
	f.ok(queue.NewMails(b, "queue", sealer("one")).Queue(f.Context(), m))
	return b.last
}

// reset is a message for a new password.
func (f *fixture) reset(change func(*mail.Message)) string {
	m := mail.Message{ID: "m-1", Kind: mail.Reset, AccountID: owner, Token: secret.New("canary-token"), At: f.clock}
	if change != nil {
		change(&m)
	}
	return f.body(m)
}

// event returns the body of an event of the connection se-7.
func (f *fixture) event(id string, kind effects.EventType, data map[string]any) string {
	f.Helper()
	if data == nil {
		data = map[string]any{}
	}
	data["carrier_id"] = "se-7"
	text, err := json.Marshal(map[string]any{
		"version": "0", "id": "bus", "source": "carrierlink", "detail-type": kind,
		"detail": map[string]any{"event_id": id, "event": kind, "created_at": effects.Time(f.clock), "account_id": owner, "external_account_id": nil, "partner_id": 5, "data": data},
	})
	f.ok(err)
	return string(text)
}

// deliver passes messages to the function, and returns those that SQS must deliver again,
// and the log.
func (f *fixture) deliver(messages ...string) (failed []string, log string) {
	f.Helper()
	var e events.SQSEvent
	for i, m := range messages {
		e.Records = append(e.Records, events.SQSMessage{MessageId: string(rune('a' + i)), Body: m})
	}
	log = functiontest.Logged(f.Context(), func(ctx context.Context) {
		resp, err := f.h.run(ctx, e)
		f.ok(err)
		for _, one := range resp.BatchItemFailures {
			failed = append(failed, one.ItemIdentifier)
		}
	})
	for _, hidden := range []string{"canary", "bluegum", "BlueGum", "Blue Gum", "0004085400"} {
		if strings.Contains(log, hidden) {
			f.Errorf("the log has %q:\n%s", hidden, log)
		}
	}
	return failed, log
}

// link stores the connection se-7 of the owner.
func (f *fixture) link(status connection.Status, reason string) *connection.Connection {
	f.Helper()
	c := &connection.Connection{
		ID: "se-7", AccountID: owner, PartnerID: 5, Carrier: carrier.AustraliaPost, AccountNumber: "0004085400", Nickname: "Main warehouse",
		Environment: carrier.Production, Standing: account.StandingActive, CredentialID: "00c0ffee00c0ffee",
	}
	f.ok(f.table.BeginLink(f.Context(), c, connection.LinkOptions{}))
	c.Status, c.StatusReason, c.ContractValidTo = status, reason, "2031-01-16"
	f.ok(f.table.FinishLink(f.Context(), c, nil, nil, effects.Effects{}, f.clock))
	return c
}

// becomes changes the connection.
func (f *fixture) becomes(c *connection.Connection, status connection.Status) {
	f.Helper()
	c.Status = status
	f.ok(f.table.SaveConnection(f.Context(), c))
}

// TestFailures: what cannot be sent comes again until it is a dead letter. No address and
// nothing else of a mail is in the log, and SES's own text is not.
func TestFailures(t *testing.T) {
	for _, tc := range []struct {
		name      string
		body      func(f *fixture) string
		change    func(f *fixture)
		want      string // in the log
		malformed bool
	}{
		{"no JSON", func(*fixture) string { return "canary" }, nil, "the body is not a mail's", false},
		{"another service's", func(f *fixture) string { return f.reset(nil) }, func(f *fixture) { f.h.sealer = sealer("two") }, "the message is malformed: opening a mail", true},
		{"a broken event", func(*fixture) string { return `{"detail-type":"canary` }, nil, "the message is malformed", true},
		{"an event of another type", func(f *fixture) string { return f.event("e", effects.AccountUpdated, nil) }, nil, "the message is malformed", true},
		{"an event without an id", func(f *fixture) string { return f.event("", effects.CarrierRestricted, nil) }, nil, "the message is malformed", true},
		{"an unknown kind", func(f *fixture) string { return f.reset(func(m *mail.Message) { m.Kind = "later" }) }, nil, "the message is malformed", true},
		{"a link without a token", func(f *fixture) string { return f.reset(func(m *mail.Message) { m.Token = secret.Text{} }) }, nil, "the message is malformed", true},
		{"two addresses", func(f *fixture) string {
			return f.reset(func(m *mail.Message) { m.To = "canary@a.example, canary@b.example" })
		}, nil, "the message is malformed", true},
		{"the service secret cannot be read", func(f *fixture) string { return f.reset(nil) }, func(f *fixture) {
			f.h.sealer = seal.New(func(context.Context) (secret.Text, error) { return secret.Text{}, errors.New("down") }, time.Now)
		}, "opening a mail: reading the service secret: down", false},
		{"the table is down", func(f *fixture) string { return f.reset(nil) }, func(f *fixture) { f.h.store = broken{table: f.table, load: errors.New("reading: down")} }, "reading: down", false},
		{"SES is down", func(f *fixture) string { return f.reset(nil) }, func(f *fixture) { f.fail = errors.New("down") }, "sending a mail: down", false},
		{"SES throttles", func(f *fixture) string { return f.reset(nil) }, func(f *fixture) {
			f.fail = &smithy.GenericAPIError{Code: "TooManyRequestsException", Message: "canary"}
		}, "sending a mail: SES: TooManyRequestsException", false},
		{"SES rejects the address", func(f *fixture) string { return f.reset(nil) }, func(f *fixture) {
			f.fail = &smithy.GenericAPIError{Code: "MessageRejected", Message: "Email address is not verified: canary@bluegum.example"}
		}, "sending a mail: SES: MessageRejected", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			body := tc.body(f)
			if tc.change != nil {
				tc.change(f)
			}
			failed, log := f.deliver(body)
			if diff := cmp.Diff([]string{"a"}, failed); diff != "" || !strings.Contains(log, tc.want) || len(f.sent) > 0 {
				t.Errorf("%d mails were sent, the log has %s; failed (-want +got):\n%s", len(f.sent), log, diff)
			}
			if got := metricstest.In(t, log)["Malformed"]; (len(got) == 1) != tc.malformed {
				t.Errorf("Malformed is %v, want it: %t", got, tc.malformed)
			}
		})
	}
}

// TestDropped: these mails are not sent, and their messages are done.
func TestDropped(t *testing.T) {
	setActive := func(f *fixture, active bool) {
		a, err := f.table.Account(f.Context(), owner, f.clock)
		f.ok(err)
		f.ok(f.table.SetAccountActive(f.Context(), a, active, false, effects.Effects{}, f.clock))
	}
	needsYou := func(f *fixture) string { return f.event("e-1", effects.CarrierActionRequired, nil) }
	for _, tc := range []struct {
		name   string
		body   func(f *fixture) string
		change func(f *fixture)
	}{
		{"to nobody", func(f *fixture) string { return f.reset(func(m *mail.Message) { m.AccountID = 0 }) }, nil},
		{"to an account that never was", func(f *fixture) string { return f.reset(func(m *mail.Message) { m.AccountID = 99 }) }, nil},
		{"to an account without email", func(f *fixture) string { return f.reset(func(m *mail.Message) { m.AccountID = silent }) }, nil},
		{"a link that has expired", func(f *fixture) string { return f.reset(nil) }, func(f *fixture) { f.clock = f.clock.Add(30 * time.Minute) }},
		{"a link to a disabled account", func(f *fixture) string { return f.reset(nil) }, func(f *fixture) { setActive(f, false) }},
		{"to a deleted account", func(f *fixture) string {
			return f.reset(func(m *mail.Message) { m.Kind, m.To = mail.EmailChanged, "canary@a.example" })
		}, func(f *fixture) {
			a, err := f.table.Account(f.Context(), owner, f.clock)
			f.ok(err)
			f.ok(f.table.DeleteAccount(f.Context(), a, false, f.clock.Add(time.Hour), effects.Effects{}, f.clock))
		}},
		{"of a disabled partner", func(f *fixture) string { return f.reset(nil) }, func(f *fixture) {
			p, keys, err := f.table.Partner(f.Context(), 5)
			f.ok(err)
			next := p
			next.DisabledAt, next.Version = f.clock, 1
			f.ok(f.table.ChangePartner(f.Context(), account.PartnerChange{Old: p, New: next, OldKeys: keys, NewKeys: keys}, effects.Effects{}, f.clock))
		}},
		{"of a connection that never was", needsYou, nil},
		{"of a disabled account's connection", needsYou, func(f *fixture) { f.link(connection.ActionRequired, "unauthorized"); setActive(f, false) }},
		{"of a connection that works again", needsYou, func(f *fixture) { f.link(connection.Active, "") }},
		{"of one that is degraded", needsYou, func(f *fixture) { f.link(connection.Degraded, "timeout") }},
		{"of one that no longer works", func(f *fixture) string {
			return f.event("e-1", effects.CarrierRecovered, map[string]any{"previous_status": "pending_verification"})
		}, func(f *fixture) { f.link(connection.ActionRequired, "unauthorized") }},
		{"works, but nobody was told otherwise", func(f *fixture) string {
			return f.event("e-1", effects.CarrierRecovered, map[string]any{"previous_status": "degraded"})
		}, func(f *fixture) { f.link(connection.Active, "") }},
		{"of a contract that was renewed", func(f *fixture) string {
			return f.event("e-1", effects.CarrierContractExpiring, map[string]any{"valid_to": "2031-01-03", "expires_in_days": 1})
		}, func(f *fixture) { f.link(connection.Active, "") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			body := tc.body(f)
			if tc.change != nil {
				tc.change(f)
			}
			if failed, log := f.deliver(body); failed != nil || f.sent != nil || !strings.Contains(log, `"messages":1,"sent":0`) {
				t.Errorf("failed %v, %d mails, log %s, want nothing sent", failed, len(f.sent), log)
			}
		})
	}
}

// TestSignIn: mails of sign-in go to the account's address, or to the one that the message
// names, from the partner by name; once for a message.
func TestSignIn(t *testing.T) {
	f := newFixture(t)
	reset, changed := f.reset(nil), f.body(mail.Message{ID: "m-2", Kind: mail.EmailChanged, AccountID: silent, To: "old@bluegum.example", At: f.clock})
	if failed, _ := f.deliver(reset, "canary", changed, reset); !cmp.Equal(failed, []string{"b"}) || len(f.sent) != 2 {
		t.Fatalf("failed %v, %d mails, want b and two mails", failed, len(f.sent))
	}
	first, second := f.sent[0], f.sent[1]
	text := *first.Content.Simple.Body.Text.Data
	if *first.FromEmailAddress != `"Acme Shops" <no-reply@carrierlink.example>` || !cmp.Equal(first.Destination.ToAddresses, []string{"Jo@bluegum.example"}) ||
		!strings.Contains(text, "https://api.example.com/portal/reset/canary-token\n") || !strings.Contains(text, "Hello Blue Gum Trading,") ||
		!strings.Contains(*first.Content.Simple.Body.Html.Data, "https://api.example.com/portal/reset/canary-token\"") {
		t.Errorf("the first mail is from %s to %v:\n%s", *first.FromEmailAddress, first.Destination.ToAddresses, text)
	}
	if !cmp.Equal(second.Destination.ToAddresses, []string{"old@bluegum.example"}) || *second.Content.Simple.Subject.Data != "Your email address was changed" {
		t.Errorf("the second mail is %q to %v", *second.Content.Simple.Subject.Data, second.Destination.ToAddresses)
	}
	f.sent = nil
	f.clock = f.clock.Add(20 * time.Minute)
	if failed, _ := f.deliver(reset, changed); failed != nil || f.sent != nil {
		t.Errorf("delivered again: failed %v, %d mails, want none", failed, len(f.sent))
	}
	if resp, err := f.h.run(t.Context(), events.SQSEvent{}); err != nil || resp.BatchItemFailures == nil {
		t.Errorf("run without messages = %+v, %v, want no failures, not null", resp, err)
	}
}

// broken is a table of which some calls fail.
type broken struct {
	table
	load, record error
}

// Load fails if it is to.
func (b broken) Load(ctx context.Context, accountID int64, w store.Want) (store.Loaded, error) {
	if b.load != nil {
		return store.Loaded{}, b.load
	}
	return b.table.Load(ctx, accountID, w)
}

// RecordMail fails if it is to.
func (b broken) RecordMail(ctx context.Context, accountID int64, carrierID string, sent mail.Sent) error {
	if b.record != nil {
		return b.record
	}
	return b.table.RecordMail(ctx, accountID, carrierID, sent)
}

// TestSentButNotRecorded: a mail whose record fails is not sent again at once.
func TestSentButNotRecorded(t *testing.T) {
	f := newFixture(t)
	body := f.reset(nil)
	f.h.store = broken{table: f.table, record: errors.New("down")}
	if failed, log := f.deliver(body); failed != nil || len(f.sent) != 1 || !strings.Contains(log, "a sent mail is not recorded") {
		t.Errorf("failed %v, %d mails, log %s", failed, len(f.sent), log)
	}
}

// TestCarrierMails: what a connection's owner is told, in the order of events.
func TestCarrierMails(t *testing.T) {
	f := newFixture(t)
	refused := map[string]any{"previous_status": "active", "diagnosis": map[string]any{"who_must_act": "merchant", "likely_cause": "The key is refused.", "next_steps": []string{"Check it."}}}
	c := f.link(connection.ActionRequired, "unauthorized")
	needs, works := "Your Australia Post account needs you", "Your Australia Post account works again"
	step := func(name string, later time.Duration, status connection.Status, event string, kind effects.EventType, want ...string) {
		t.Helper()
		f.clock = f.clock.Add(later)
		f.becomes(c, status)
		failed, _ := f.deliver(f.event(event, kind, refused))
		if diff := cmp.Diff(want, f.subjects()); diff != "" || failed != nil {
			t.Errorf("%s: failed %v, mails (-want +got):\n%s", name, failed, diff)
		}
	}
	bad, fine, required, recovered := connection.ActionRequired, connection.Active, effects.CarrierActionRequired, effects.CarrierRecovered
	step("it breaks", 0, bad, "e-01", required, needs)
	step("the event comes again", time.Minute, bad, "e-01", required)
	step("for another reason", time.Hour, connection.Restricted, "e-02", effects.CarrierRestricted)
	step("repaired at once", time.Minute, fine, "e-03", recovered)
	step("the event comes again", time.Minute, fine, "e-03", recovered)
	step("it breaks again", time.Hour, bad, "e-04", required, needs)
	step("repaired at once", time.Minute, fine, "e-05", recovered)
	step("it breaks within the hour", time.Minute, bad, "e-06", required)
	step("it breaks again, an hour after the mail", time.Hour, bad, "e-07", required, needs)
	step("it lasts a day", 24*time.Hour, bad, "e-08", required, needs)
	step("repaired two days later", 48*time.Hour, fine, "e-09", recovered, works)
	step("an outage ended", 48*time.Hour, fine, "e-10", recovered)
	step("it breaks an hour later", time.Hour, bad, "e-11", required, needs)
}

// TestCarrierCopy: a mail about a connection names it by the end of its number, and says what
// to do.
func TestCarrierCopy(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status connection.Status
		reason string
		kind   effects.EventType
		data   map[string]any
		want   string
	}{
		{"refused", connection.ActionRequired, "unauthorized", effects.CarrierActionRequired, map[string]any{"diagnosis": map[string]any{"who_must_act": "merchant", "likely_cause": "The key is refused.", "next_steps": []string{"Check it."}}}, "1. Check it."},
		{"restricted", connection.Restricted, "credit_blocked", effects.CarrierRestricted, nil, "Credit is blocked."},
		{"checked for the first time", connection.Active, "", effects.CarrierRecovered, map[string]any{"previous_status": "pending_verification"}, "is connected and works."},
		{"its contract ends", connection.Active, "", effects.CarrierContractExpiring, map[string]any{"valid_to": "2031-01-16", "expires_in_days": 14}, "ends in 14 days. Its last day is 16 January 2031."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			f.link(tc.status, tc.reason)
			body := f.event("e-1", tc.kind, tc.data)
			if failed, _ := f.deliver(body, body); failed != nil || len(f.sent) != 1 {
				t.Fatalf("failed %v, %d mails, want one", failed, len(f.sent))
			}
			text := *f.sent[0].Content.Simple.Body.Text.Data
			if !strings.Contains(text, tc.want) || !strings.Contains(text, "Australia Post account that ends in 400 (Main warehouse)") ||
				!strings.Contains(text, "https://api.example.com/portal/carriers/se-7\n") || strings.Contains(text, "0004085400") {
				t.Errorf("the mail, which should have %q:\n%s", tc.want, text)
			}
		})
	}
}
