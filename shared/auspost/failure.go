package auspost

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
)

// failure is the cause of a reading without a usable answer. Its text is ours, or
// that of the network below HTTP with credentials and account number removed, and
// never quotes the carrier. So no other text can be reached through what it wraps.
type failure struct {
	text string
	kind error // context.DeadlineExceeded, context.Canceled, connection.ErrTooLarge or nil
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.kind }

// contextFailure is the cause of a call that its context, or the caller's, ended.
func contextFailure(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) || ctx.Err() == nil && errors.Is(err, context.Canceled) {
		return &failure{text: "the caller gave up", kind: context.Canceled}
	}
	return &failure{text: "no complete answer in time", kind: context.DeadlineExceeded}
}

// networkReading is the reading of a call that the network failed, before the
// answer's header (status zero) or within its body.
func networkReading(ctx context.Context, err error, status int, redact *strings.Replacer) connection.Reading {
	r := connection.Reading{Outcome: carrier.OutcomeUnavailable, HTTPStatus: status}
	var (
		timeout interface{ Timeout() bool }
		corrupt flate.CorruptInputError
	)
	switch {
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		r.Outcome, r.Cause = carrier.OutcomeTimeout, contextFailure(ctx, err)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		r.Outcome, r.Cause = carrier.OutcomeUnreadable, &failure{text: "the answer's compression is broken"}
	default:
		r.Cause = &failure{text: networkText(err, redact)}
	}
	return r
}

// networkText describes a network error. HTTP's own errors quote what the other side
// sent, so of an unknown error it gives only the type.
func networkText(err error, redact *strings.Replacer) string {
	var (
		op          *net.OpError
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		text        string
	)
	switch {
	case errors.As(err, &dns):
		text = dns.Error()
	case errors.As(err, &op):
		text = op.Error()
	case errors.As(err, &certificate):
		text = certificate.Error()
	case errors.As(err, &record):
		text = record.Error()
	case errors.As(err, &alert):
		text = alert.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = "the connection ended before the answer did"
	default:
		text = fmt.Sprintf("the call failed (%T)", err)
	}
	return redact.Replace(text)
}

// redactor removes an account's number and credentials from a text, in every form in
// which they are sent.
func redactor(account connection.ChargeAccount) *strings.Replacer {
	key, secret := account.Credentials.APIKey.Reveal(), account.Credentials.APISecret.Reveal()
	var pairs []string
	for _, s := range []string{
		base64.StdEncoding.EncodeToString([]byte(key + ":" + secret)),
		secret, key, account.Number, url.PathEscape(account.Number),
	} {
		if s != "" {
			pairs = append(pairs, s, "REDACTED")
		}
	}
	return strings.NewReplacer(pairs...)
}
