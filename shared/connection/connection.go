package connection

import (
	"maps"
	"reflect"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// Status is the state of a connection; infra/docs/architecture.md has the diagram.
type Status string

// The states.
const (
	// Linking is the intent of a link: its row names the secret before the secret
	// exists. Only the link itself and the reconciler see it.
	Linking             Status = "linking"
	PendingVerification Status = "pending_verification"
	Active              Status = "active"
	Degraded            Status = "degraded"
	Restricted          Status = "restricted"
	ActionRequired      Status = "action_required"
	// Disconnected is an unlinked connection. Callers no longer see it; its row stays
	// as long as its history.
	Disconnected Status = "disconnected"
)

// Works reports whether the carrier accepts the connection: what ShipEngine calls
// approved.
func (s Status) Works() bool { return s == Active || s == Degraded || s == Restricted }

// Work is what a process is doing to the secret of a connection, beyond a check. It
// holds the connection's lease meanwhile; when the lease has expired, the next
// request or the reconciler finishes the work or undoes it.
type Work string

// The kinds of work. The intent of a link is a Status, Linking.
const (
	NoWork Work = ""
	// WorkCredentials adds a version of the secret or moves its labels. The row
	// names the current version; the labels are moved to that one.
	WorkCredentials Work = "credentials"
	// WorkUnlink deletes the secret of a Disconnected connection.
	WorkUnlink Work = "unlink"
	// WorkFollow deletes or restores the secret because the account was deleted or
	// restored.
	WorkFollow Work = "follow"
)

// RefreshPolicy is how often the schedule checks a connection.
type RefreshPolicy string

// The policies.
const (
	RefreshHourly RefreshPolicy = "hourly"
	RefreshDaily  RefreshPolicy = "daily"
	RefreshOff    RefreshPolicy = "off"
)

// ParseRefreshPolicy parses the value of field; an unknown policy is fault.Invalid.
func ParseRefreshPolicy(field, s string) (RefreshPolicy, *fault.Error) {
	switch p := RefreshPolicy(s); p {
	case RefreshHourly, RefreshDaily, RefreshOff:
		return p, nil
	}
	return "", fault.Field(fault.Invalid, field, "%s must be hourly, daily or off.", field)
}

func (p RefreshPolicy) interval() time.Duration {
	switch p {
	case RefreshHourly:
		return time.Hour
	case RefreshOff:
		return 0
	case RefreshDaily:
	}
	return 24 * time.Hour
}

// Trigger is what caused a check.
type Trigger string

// The triggers.
const (
	TriggerLink     Trigger = "link"
	TriggerSchedule Trigger = "schedule"
	TriggerManual   Trigger = "manual"
	TriggerRead     Trigger = "read"
)

// Check is the record of one check.
type Check struct {
	At      time.Time
	Outcome carrier.Outcome
	Latency time.Duration
	Trigger Trigger
	Code    string // the carrier's error code if it is a known one
}

// HistoryEntry is a check as the connection's history keeps it.
type HistoryEntry struct {
	Check
	Number  int          // counts the checks of the connection from 1
	Status  Status       // after the check
	Changes []Difference // of the contract since the last good check
}

// HistoryPosition is a position between two entries of a history.
type HistoryPosition struct {
	At     time.Time
	Number int
}

const (
	// HistoryKept is how long history entries are kept, and with them the row of a
	// disconnected connection.
	HistoryKept = 90 * 24 * time.Hour
	// PreviousKept is how long a change of credentials can be rolled back.
	PreviousKept = 30 * 24 * time.Hour
)

// Connection is one merchant's link to one charge account.
type Connection struct {
	ID            string
	AccountID     int64
	PartnerID     int64
	Environment   carrier.Environment
	Carrier       carrier.Name
	AccountNumber string
	Nickname      string
	Status        Status
	StatusReason  string
	Standing      account.Standing

	ChecksWithCredentials int       // with these credentials, the link's check included
	ChecksEver            int       // with whatever credentials
	LastCheck             Check     // the latest one
	VerifiedAt            time.Time // the latest good check; zero if none
	ConsecutiveFailures   int
	FirstRefusedAt        time.Time // the first refusal that counts since the latest good check; zero if none
	NextRefreshAt         time.Time // zero: never
	ClaimsUnrecorded      int       // claims by the schedule since the last recorded check
	Reads                 Reads     // of the credentials by the schedule's checks
	RefreshRequestedAt    time.Time // when a pending refresh was requested; zero if none is pending
	VerifyCalledAt        time.Time // the last call of verify
	HeldUntil             time.Time // the carrier asked for a pause in the latest check; zero if not: see Held
	RefreshPolicy         RefreshPolicy

	APIKeyLastFour       string
	CredentialID         string // see CredentialID
	CredentialsUpdatedAt time.Time
	// SecretVersion is the version of the secret with this row's credentials. While
	// Linking that version need not exist yet.
	SecretVersion string
	// Previous is what the latest change replaced; zero if nothing can be rolled back.
	Previous PreviousCredentials
	// LeaseUntil is when the lease of the process that works on the connection expires.
	LeaseUntil time.Time
	Work       Work
	// WorkSince is the end of the lease that the first attempt to finish the work, or the
	// intent, found; later attempts renew the lease. Zero before the first attempt.
	WorkSince time.Time

	ContractExpired       bool
	ContractValidTo       string
	ContractCreditBlocked bool
	ContractHash          string // of the stored snapshot: see SnapshotHash
	// WarnedOf and WarnedDays are the end of the contract and the number of days before it
	// that carrier_contract_expiring has reported last.
	WarnedOf   string
	WarnedDays int
	// MerchantLocationID is the prefix of the account's own tracking numbers; empty
	// before the first good check.
	MerchantLocationID string

	ExternalID     string
	Metadata       map[string]string
	CreatedAt      time.Time
	ModifiedAt     time.Time
	DisconnectedAt time.Time // zero while it is linked
	// PurgeAt is when the row of a disconnected connection or of a deleted account is
	// removed. Zero: never.
	PurgeAt time.Time
	// Version counts the writes of the row. Every write has the condition that the
	// version is the one that was read.
	Version int64
}

// PreviousCredentials is what a rollback restores. Those that were given up have no
// SecretVersion.
type PreviousCredentials struct {
	SecretVersion string
	AccountNumber string
	LastFour      string
	CredentialID  string
	Until         time.Time
}

// Available reports whether a rollback to them is still possible.
func (p PreviousCredentials) Available(now time.Time) bool {
	return p.SecretVersion != "" && now.Before(p.Until)
}

// PreviousEnds returns when the previous credentials are given up; zero if there are none.
// The next check by the schedule gives them up, or the reconciler if the schedule does
// not check the connection.
func (c *Connection) PreviousEnds() time.Time {
	if !c.Visible() || c.Standing == account.StandingDeleted || c.Previous.SecretVersion == "" {
		return time.Time{}
	}
	return c.Previous.Until
}

// previousEnded reports whether PreviousEnds is over.
func (c *Connection) previousEnded(now time.Time) bool {
	ends := c.PreviousEnds()
	return !ends.IsZero() && !ends.After(now)
}

// beginWork takes the lease for work, or for a further attempt at it, which keeps its age.
func (c *Connection) beginWork(w Work, lease time.Time) {
	switch {
	case w != c.Work:
		c.WorkSince = time.Time{}
	case c.WorkSince.IsZero():
		c.WorkSince = c.LeaseUntil
	}
	c.Work, c.LeaseUntil = w, lease
}

func (c *Connection) endWork() {
	c.Work, c.LeaseUntil, c.WorkSince = NoWork, time.Time{}, time.Time{}
}

// Same reports whether two connections are equal in every field.
func (c Connection) Same(o Connection) bool {
	if !maps.Equal(c.Metadata, o.Metadata) { // nil equals empty
		return false
	}
	c.Metadata, o.Metadata = nil, nil
	return reflect.DeepEqual(c, o)
}

// Visible reports whether callers see the connection.
func (c *Connection) Visible() bool { return c.Status != Linking && c.Status != Disconnected }

// ShownStatus is the status that callers see: paused while the account is not active.
func (c *Connection) ShownStatus() Status {
	if c.Standing == account.StandingPaused || c.Standing == account.StandingDeleted {
		return "paused"
	}
	return c.Status
}

// Scheduled reports whether the schedule checks the connection at NextRefreshAt.
func (c *Connection) Scheduled() bool {
	return c.Visible() && c.Standing == account.StandingActive && c.Work == NoWork && !c.NextRefreshAt.IsZero()
}

// MaskedNumber is the account number, masked by MaskNumber.
func (c *Connection) MaskedNumber() string { return MaskNumber(c.AccountNumber) }

// MaskNumber hides all but the last three digits of an account number.
func MaskNumber(number string) string {
	if len(number) <= 3 {
		return strings.Repeat("*", len(number))
	}
	return strings.Repeat("*", len(number)-3) + number[len(number)-3:]
}

// LinkOptions are options of the intent of a link.
type LinkOptions struct {
	AllowDuplicate bool // another connection of the account may have the number
	TakeOver       bool // the intent exists and its lease has expired: take it over
}

// Observation is the result of one check and its circumstances.
type Observation struct {
	Reading Reading
	Trigger Trigger
	Now     time.Time
	Breaker health.Breaker // the carrier's, at that time
	Timing  health.Timing
	Jitter  float64 // from 0 to 1: spreads the schedule
}

// finding is what a check says about a connection in its state.
type finding uint8

const (
	working     finding = iota // the connection works
	unshippable                // it works, but the contract forbids shipping
	doubted                    // refused, and the refusal is not confirmed yet
	refused                    // refused, and the refusal is confirmed
	unreachable                // an outage: says nothing about the connection
	suspicious                 // does not change the status
)

const findings = int(suspicious) + 1

// transitions has the next state for each state and finding. A check does not change
// Linking and Disconnected.
var transitions = map[Status][findings]Status{
	PendingVerification: {Active, Restricted, PendingVerification, ActionRequired, PendingVerification, PendingVerification},
	Active:              {Active, Restricted, Active, ActionRequired, Degraded, Active},
	Degraded:            {Active, Restricted, Degraded, ActionRequired, Degraded, Degraded},
	Restricted:          {Active, Restricted, Restricted, ActionRequired, Restricted, Restricted},
	ActionRequired:      {Active, Restricted, ActionRequired, ActionRequired, ActionRequired, ActionRequired},
}

// classify returns what an observation means for the connection.
func (c *Connection) classify(o Observation) finding {
	switch {
	case o.Reading.Outcome == carrier.OutcomeOK && o.Reading.Contract.Restriction() != "":
		return unshippable
	case o.Reading.Outcome == carrier.OutcomeOK:
		return working
	case c.isRefused(o.Reading.Outcome):
		return c.classifyRefusal(o)
	case o.Reading.Outcome == carrier.OutcomeNumberMismatch:
		return suspicious
	}
	return unreachable
}

// isRefused reports whether an outcome refuses the connection. The answer for another
// charge account refuses only a connection that was never verified.
func (c *Connection) isRefused(outcome carrier.Outcome) bool {
	return outcome.IsRefusal() || outcome == carrier.OutcomeNumberMismatch && c.Status == PendingVerification
}

// classifyRefusal decides whether a refusal is confirmed: it is at least RefusalGap
// after the first one, and the carrier has given another account a good answer since
// the first. With no account to compare with, the refusals have to go on for
// LoneRefusal. No refusal is confirmed while the breaker is open, and refusals from
// before it closed do not count. Missing credentials are our own knowledge and need no
// comparison.
func (c *Connection) classifyRefusal(o Observation) finding {
	first := c.FirstRefusedAt
	if o.Breaker.Open || first.IsZero() || !first.After(o.Breaker.ChangedAt) || o.Now.Sub(first) < o.Timing.RefusalGap {
		return doubted
	}
	switch doubt := c.doubt(); {
	case o.Reading.Outcome == carrier.OutcomeNoCredentials, o.Breaker.Confirms(doubt):
		return refused
	case o.Breaker.HasNoPeer(doubt, o.Now) && o.Now.Sub(first) >= o.Timing.LoneRefusal:
		return refused
	}
	return doubted
}

// Suspected is the status_reason while a refusal is not confirmed.
func Suspected(o carrier.Outcome) string { return string(o) + suspected }

const suspected = "_suspected"

// Record applies a check to the connection: status, reason, counters, contract flags
// and the time of the next check. It returns the history entry; the caller adds the
// changes of the contract.
func (c *Connection) Record(o Observation) HistoryEntry {
	r, now := o.Reading, o.Now
	// The time of a connection never goes back. Otherwise a refusal recorded by a slow
	// clock would look old enough to confirm the next one.
	if c.LastCheck.At.After(now) {
		now = c.LastCheck.At
	}
	before, found := c.Status, c.classify(o)
	c.ChecksWithCredentials++
	c.ChecksEver++
	c.LastCheck = Check{At: now, Outcome: r.Outcome, Latency: r.Latency, Trigger: o.Trigger, Code: r.Code}
	c.ModifiedAt = now
	c.RefreshRequestedAt, c.ClaimsUnrecorded = time.Time{}, 0
	if next, ok := transitions[before]; ok {
		c.Status = next[found]
	}
	switch found {
	case working, unshippable:
		c.StatusReason = r.Contract.Restriction()
		c.VerifiedAt, c.ConsecutiveFailures, c.FirstRefusedAt = now, 0, time.Time{}
		c.ContractExpired, c.ContractValidTo, c.ContractCreditBlocked = r.Contract.Expired, r.Contract.ValidTo, r.Contract.CreditBlocked
		c.MerchantLocationID = r.Contract.MerchantLocationID
	case doubted:
		c.ConsecutiveFailures++
		if o.Breaker.Open {
			break
		}
		// A refusal from before the breaker closed does not count as the first one.
		if !c.FirstRefusedAt.After(o.Breaker.ChangedAt) {
			c.FirstRefusedAt = now
		}
		if c.Status == PendingVerification || c.Status == Active || c.Status == Degraded {
			c.StatusReason = Suspected(r.Outcome)
		}
	case refused:
		c.ConsecutiveFailures++
		c.StatusReason = string(r.Outcome)
	case unreachable, suspicious:
		c.ConsecutiveFailures++
		if c.Status != before || found == unreachable && (c.Status == Degraded || c.Status == PendingVerification) {
			c.StatusReason = string(r.Outcome)
		}
	}
	c.HeldUntil = time.Time{}
	if pause := r.pause(); pause > 0 {
		c.HeldUntil = o.Now.Add(pause)
	}
	c.NextRefreshAt = c.nextRefresh(r, o.Now, o.Timing, o.Jitter)
	return HistoryEntry{Check: c.LastCheck, Number: c.ChecksEver, Status: c.Status}
}

// dailyRetries is how long after the first refusal a connection in ActionRequired is
// checked daily; later it is checked weekly.
const dailyRetries = 30 * 24 * time.Hour

// nextRefresh returns the time of the next check; zero for none. The interval is
//   - after a good check the policy's, ± 10 %;
//   - after an unconfirmed refusal half of the time since the first one, between
//     RefusalGap and an hour, plus up to 0.4 RefusalGap;
//   - in ActionRequired a day, or a week after dailyRetries, ± 10 %, whatever the
//     outcome;
//   - after an outage a minute, doubling up to an hour, ± 10 %.
//
// It is never before HeldUntil.
// The policy off has no next check, except hourly ones until the connection is
// verified for the first time.
func (c *Connection) nextRefresh(r Reading, now time.Time, t health.Timing, jitter float64) time.Time {
	interval, ceiling := c.RefreshPolicy.interval(), time.Hour
	if interval == 0 && (c.Status == PendingVerification || c.Status == ActionRequired && c.VerifiedAt.IsZero()) {
		interval = time.Hour
	}
	if interval == 0 {
		return time.Time{}
	}
	around := func(d time.Duration) time.Duration { return d + time.Duration((jitter-0.5)*0.2*float64(d)) }
	var since time.Duration
	if !c.FirstRefusedAt.IsZero() {
		since = now.Sub(c.FirstRefusedAt)
	}
	switch {
	case c.Status == ActionRequired && since < t.Scale(dailyRetries):
		interval = around(t.Scale(24 * time.Hour))
	case c.Status == ActionRequired:
		interval = around(t.Scale(7 * 24 * time.Hour))
	case r.Outcome.IsRefusal():
		interval = max(t.RefusalGap, min(since/2, t.Scale(ceiling))) + time.Duration(jitter*0.4*float64(t.RefusalGap))
	case r.Outcome == carrier.OutcomeOK:
		interval = around(t.Scale(interval))
	default:
		backoff := time.Minute << min(c.ConsecutiveFailures-1, 6)
		interval = around(t.Scale(min(interval, backoff, ceiling)))
	}
	at := now.Add(interval)
	if c.HeldUntil.After(at) {
		at = c.HeldUntil
	}
	return at.Truncate(time.Millisecond)
}

// Held is nil unless the carrier has asked for a pause that is not over: then nobody calls
// it for callers with the connection's credentials. The error is that of the latest check,
// with the rest of the pause in RetryAfter. The sandbox calls no carrier, so nothing is held.
func (c *Connection) Held(now time.Time) error {
	r := Reading{Outcome: c.LastCheck.Outcome, Code: c.LastCheck.Code}
	held, ok := r.Err().(*fault.Error) //nolint:errorlint // Err does not wrap
	if !ok || c.Environment == carrier.Sandbox || !c.HeldUntil.After(now) {
		return nil
	}
	held.RetryAfter = c.HeldUntil.Sub(now)
	return held
}

// Reschedule sets the time of the next check after a change of the policy.
func (c *Connection) Reschedule(now time.Time, t health.Timing, jitter float64) {
	c.NextRefreshAt = c.nextRefresh(Reading{Outcome: carrier.OutcomeOK}, now, t, jitter)
}
