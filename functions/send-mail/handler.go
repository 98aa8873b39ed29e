package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/mail"
	"carrierlink/shared/metrics"
	"carrierlink/shared/queue"
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
)

// table is what this function needs of the store.
type table interface {
	Load(ctx context.Context, accountID int64, w store.Want) (store.Loaded, error)
	PartnerWithSettings(ctx context.Context, partnerID int64) (account.Partner, account.Settings, error)
	SentMail(ctx context.Context, accountID int64, carrierID, id string, now time.Time) (mail.Sent, error)
	RecordMail(ctx context.Context, accountID int64, carrierID string, sent mail.Sent) error
}

// mailer is what this function needs of the SES client.
type mailer interface {
	SendEmail(context.Context, *sesv2.SendEmailInput, ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error)
}

type handler struct {
	store   table
	sealer  queue.Sealer
	ses     mailer
	from    string // the address
	url     string // of the pages, without a trailing slash
	now     func() time.Time
	metrics metrics.Recorder
}

// within is how long a message may take. Five are in a batch, and the function has 60 s
// (template.yaml).
const within = 10 * time.Second

// run sends the mails of a batch. It returns the messages that SQS must deliver again: mails
// that were not sent, until the queue gives up on them and they become dead letters.
//
// A mail is sent at least once: SES has no idempotency, so a process that dies between the
// sending and its record has the mail sent again. What was recorded is not sent again.
func (h *handler) run(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	ctx, points := h.metrics.Start(ctx)
	// Never null, which MiniStack cannot read.
	resp := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	sent := 0
	for _, r := range event.Records {
		ok, err := h.handle(ctx, r.Body)
		if ok {
			sent++
		}
		if err == nil {
			continue
		}
		if errors.Is(err, errMalformed) {
			metrics.Add(ctx, metrics.Malformed, "", 1)
		}
		slog.ErrorContext(ctx, "a mail was not sent", slog.String("message_id", r.MessageId), slog.String("error", err.Error()))
		resp.BatchItemFailures = append(resp.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
	}
	points.Log(ctx, slog.Default(), slog.LevelInfo, "mailed", slog.Int("messages", len(event.Records)), slog.Int("sent", sent))
	return resp, nil
}

// handle sends the mail of a message, unless it is dropped: then sent is false, without an
// error. The error names neither an address nor anything else of the mail.
func (h *handler) handle(ctx context.Context, body string) (sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	o, err := readOrder(ctx, h.sealer, body)
	if errors.Is(err, seal.ErrForged) {
		err = fmt.Errorf("%w: %w", errMalformed, err)
	}
	if err != nil {
		return false, err
	}
	l, err := h.letter(ctx, &o)
	if l == nil || err != nil {
		return false, err
	}
	// The latest mail about the state of a connection decides about the next one.
	about := ""
	if isState(o.Kind) {
		about = o.CarrierID
	}
	now := h.now()
	before, err := h.store.SentMail(ctx, o.AccountID, about, o.ID, now)
	if err != nil {
		return false, err
	}
	switch next, news := decide(before, &o, now); {
	case !news && next != before:
		return false, h.store.RecordMail(ctx, o.AccountID, about, next)
	case !news:
		return false, nil
	}
	if err := h.send(ctx, *l); err != nil {
		return false, err
	}
	if err := h.store.RecordMail(ctx, o.AccountID, about, mail.Sent{ID: o.ID, Kind: o.Kind, At: now}); err != nil {
		slog.WarnContext(ctx, "a sent mail is not recorded", slog.String("error", err.Error())) // to fail now would send it again
	}
	return true, nil
}

// letter returns what the mail is made of; nil if it is dropped: nobody is to get it, or what
// it says is no longer so.
func (h *handler) letter(ctx context.Context, o *order) (*mail.Letter, error) {
	now, end := h.now(), o.ExpiresAt()
	if o.AccountID == 0 || !end.IsZero() && !now.Before(end) {
		return nil, nil
	}
	found, err := h.store.Load(ctx, o.AccountID, store.Want{Now: now, ConnectionID: o.CarrierID})
	if err != nil {
		return nil, err
	}
	a := found.Account
	// Links do not work, and carriers are not used, while an account or its partner is disabled.
	// Its owner still hears of what was done with it.
	needsActive := !end.IsZero() || isState(o.Kind) || o.Kind == mail.ContractEnds
	if a == nil || a.Deleted() || needsActive && !a.Active || !o.current(found.Connection) {
		return nil, nil
	}
	address := cmp.Or(o.To, mailAddress(a))
	if address == "" {
		return nil, nil
	}
	p, settings, err := h.store.PartnerWithSettings(ctx, a.PartnerID)
	switch {
	case fault.Is(err, fault.NotFound) || err == nil && needsActive && !p.DisabledAt.IsZero():
		return nil, nil
	case err != nil:
		return nil, err
	}
	zone := account.ZoneOf(a.OriginCountryCode)
	l := &mail.Letter{
		Message: o.Message, Address: address, Company: a.CompanyName, Sender: cmp.Or(settings.DisplayName, p.Name), SupportEmail: settings.SupportEmail,
		SupportURL: settings.SupportURL, Sandbox: a.Environment == carrier.Sandbox, PublicURL: h.url, Zone: zone, ZoneWords: account.ZoneWords(zone),
	}
	if c := found.Connection; c != nil {
		l.Nickname = c.Nickname
		l.Carrier = mail.Carrier{Name: c.Carrier, Masked: c.MaskedNumber(), Diagnosis: o.data.Diagnosis, EndsOn: o.data.ValidTo, First: o.first()}
		if c.Status == connection.Restricted {
			l.Carrier.Reason = c.StatusReason
		}
	}
	return l, nil
}

// mailAddress returns the address of an account with its domain in ASCII, as SES wants it.
func mailAddress(a *account.Account) string {
	at := strings.LastIndexByte(a.Email, '@')
	_, domain, ok := strings.Cut(a.EmailKey, "@")
	if at < 0 || !ok {
		return a.Email
	}
	return a.Email[:at+1] + domain
}

// send renders the mail and sends it. SES's own text is dropped, because it quotes addresses.
func (h *handler) send(ctx context.Context, l mail.Letter) error {
	m, err := mail.Render(l, h.from)
	if err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	content := func(text string) *types.Content { return &types.Content{Data: &text, Charset: aws.String("UTF-8")} }
	_, err = h.ses.SendEmail(ctx, &sesv2.SendEmailInput{
		FromEmailAddress: &m.From, Destination: &types.Destination{ToAddresses: []string{m.To}},
		Content: &types.EmailContent{Simple: &types.Message{
			Subject: content(m.Subject), Body: &types.Body{Text: content(m.Text), Html: content(m.HTML)},
		}},
	})
	if failed, ok := errors.AsType[smithy.APIError](err); ok {
		err = errors.New("SES: " + failed.ErrorCode())
	}
	if err != nil {
		return fmt.Errorf("sending a mail: %w", err)
	}
	return nil
}
