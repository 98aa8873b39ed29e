package webhook

import (
	"net/url"

	"carrierlink/shared/effects"
)

// data is the data of the events of a webhook: see "webhooks" in infra/openapi.yaml. Of the
// URL it has the host only: path and query may be secrets, as those of chat services are.
type data struct {
	WebhookID         string              `json:"webhook_id"`
	Host              string              `json:"host"`
	Events            []effects.EventType `json:"events"`
	Changed           []string            `json:"changed,omitempty"`             // of webhook_updated: the members that differ
	Reason            Reason              `json:"reason,omitempty"`              // of webhook_disabled
	PreviousExpiresAt string              `json:"previous_expires_at,omitempty"` // of webhook_secret_rotated
}

// report returns a report of a webhook. Each of change completes its data.
func (w *Webhook) report(o Owner, kind effects.EventType, change ...func(*data)) effects.Report {
	d := data{WebhookID: w.ID, Events: w.Events}
	if u, err := url.Parse(w.URL); err == nil {
		d.Host = u.Host
	}
	for _, complete := range change {
		complete(&d)
	}
	return effects.Report{Type: kind, PartnerID: o.PartnerID, AccountID: o.AccountID, Subject: Subject(w.ID), Data: d}
}
