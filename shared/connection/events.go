package connection

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// eventData is the data of a connection's events: see "webhooks" in infra/openapi.yaml.
// Without Changes it has at most 3,000 bytes.
type eventData struct {
	CarrierID           string           `json:"carrier_id"`
	CarrierCode         string           `json:"carrier_code"`
	AccountNumberMasked string           `json:"account_number_masked"`
	ExternalCarrierID   *string          `json:"external_carrier_id"`
	Status              Status           `json:"status"`
	StatusReason        *string          `json:"status_reason"`
	PreviousStatus      Status           `json:"previous_status,omitempty"` // of events that report a new status
	Diagnosis           *fault.Diagnosis `json:"diagnosis,omitempty"`       // of carrier_degraded and carrier_action_required
	Changed             []string         `json:"changed,omitempty"`         // of carrier_updated: members of the API
	Changes             []Difference     `json:"changes,omitempty"`         // of carrier_account_changed
	MoreChanges         int              `json:"more_changes,omitempty"`    // of carrier_account_changed: not in Changes
	ValidTo             string           `json:"valid_to,omitempty"`        // of carrier_contract_expiring
	ExpiresInDays       *int             `json:"expires_in_days,omitempty"` // of carrier_contract_expiring
}

// eventChanges limits the differences in an event, in bytes of JSON: MaxDifferences of
// them may have more than effects.MaxEventData.
const eventChanges = effects.MaxEventData - 3000

// report returns a report of a connection; fill adds to the data that all events have.
func (c *Connection) report(kind effects.EventType, fill func(*eventData)) effects.Report {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	data := eventData{
		CarrierID: c.ID, CarrierCode: string(c.Carrier), AccountNumberMasked: c.MaskedNumber(), ExternalCarrierID: optional(c.ExternalID),
		Status: c.Status, StatusReason: optional(c.StatusReason),
	}
	if fill != nil {
		fill(&data)
	}
	return effects.Report{Type: kind, PartnerID: c.PartnerID, AccountID: c.AccountID, Subject: c.ID, Data: data}
}

// checkReports returns what a check has changed, and notes in the row of which end of the
// contract it reports. before is the row before the check; the zero value before a link.
func (c *Connection) checkReports(before Connection, r Reading, changes []Difference, now time.Time) []effects.Report {
	var reports []effects.Report
	if len(changes) > 0 {
		reports = append(reports, c.report(effects.CarrierAccountChanged, func(d *eventData) {
			d.Changes = fitting(changes, c.masks(before))
			d.MoreChanges = len(changes) - len(d.Changes)
		}))
	}
	if kind := c.statusEvent(before); kind != "" && before.Status != "" {
		reports = append(reports, c.report(kind, func(d *eventData) {
			d.PreviousStatus, d.Diagnosis = before.Status, r.diagnosisSince(before.VerifiedAt)
		}))
	}
	blockedBefore := before.ContractCreditBlocked && before.AccountNumber == c.AccountNumber
	if c.ContractCreditBlocked && !blockedBefore {
		reports = append(reports, c.report(effects.CarrierCreditBlocked, nil))
	}
	if days, due := c.noteEnd(now); due {
		reports = append(reports, c.report(effects.CarrierContractExpiring, func(d *eventData) { d.ValidTo, d.ExpiresInDays = c.ContractValidTo, &days }))
	}
	return reports
}

// masks replaces the account numbers of a connection in the carrier's texts.
func (c *Connection) masks(before Connection) *strings.Replacer {
	var pairs []string
	for _, number := range []string{c.AccountNumber, before.AccountNumber} {
		if number != "" {
			pairs = append(pairs, number, MaskNumber(number))
		}
	}
	return strings.NewReplacer(pairs...)
}

// fitting returns the first differences with their texts masked, as many as an event has
// room for.
func fitting(changes []Difference, masks *strings.Replacer) []Difference {
	var fit []Difference
	size := 0
	for _, d := range changes {
		for _, text := range []*string{&d.ProductID, &d.Field, &d.From, &d.To} {
			*text = masks.Replace(*text)
		}
		encoded, err := json.Marshal(d)
		if size += len(encoded) + len(","); err != nil || size > eventChanges {
			break
		}
		fit = append(fit, d)
	}
	return fit
}

// statusEvent returns the event of a change of the status, or of why somebody has to act;
// empty for none.
func (c *Connection) statusEvent(before Connection) effects.EventType {
	actable := c.Status == Restricted || c.Status == ActionRequired
	if c.Status == before.Status && (!actable || c.StatusReason == before.StatusReason) {
		return ""
	}
	switch c.Status {
	case Active:
		return effects.CarrierRecovered
	case Degraded:
		return effects.CarrierDegraded
	case Restricted:
		return effects.CarrierRestricted
	case ActionRequired:
		return effects.CarrierActionRequired
	case Linking, PendingVerification, Disconnected:
	}
	return ""
}

// endWarnings are the days before the end of a contract by which carrier_contract_expiring
// reports it, once each; the latest first.
var endWarnings = [...]int{1, 7, 14, 30} // never changes

// noteEnd reports whether carrier_contract_expiring is due, and notes that it was. A check
// that comes late skips the warnings that it has missed.
func (c *Connection) noteEnd(now time.Time) (days int, due bool) {
	days, ok := DaysUntil(c.ContractValidTo, now)
	if !ok || days < 0 || c.ContractExpired {
		return 0, false
	}
	for _, warning := range endWarnings {
		if days > warning {
			continue
		}
		if c.WarnedOf == c.ContractValidTo && c.WarnedDays <= warning {
			return 0, false
		}
		c.WarnedOf, c.WarnedDays = c.ContractValidTo, warning
		return days, true
	}
	return 0, false
}

// changed returns the members of the API that differ between two versions, sorted; those
// that only a change by a caller sets.
func (c *Connection) changed(next *Connection) []string {
	return effects.Changed(map[string]bool{
		"account_number":      c.AccountNumber != next.AccountNumber,
		"credentials":         c.SecretVersion != next.SecretVersion,
		"external_carrier_id": c.ExternalID != next.ExternalID,
		"metadata":            !maps.Equal(c.Metadata, next.Metadata),
		"nickname":            c.Nickname != next.Nickname,
		"refresh_policy":      c.RefreshPolicy != next.RefreshPolicy,
	})
}

// changeReports returns the report of a change by a caller, kind; none if no member of
// the API differs.
func (c *Connection) changeReports(before Connection, kind effects.EventType) []effects.Report {
	changed := before.changed(c)
	if len(changed) == 0 {
		return nil
	}
	return []effects.Report{c.report(kind, func(d *eventData) { d.Changed = changed })}
}
