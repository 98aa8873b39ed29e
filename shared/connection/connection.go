package connection

import (
	"encoding/hex"
	"maps"
	"reflect"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/secret"
)

// Status is where a connection stands in its life.
type Status string

// The states (infra/docs/architecture.md has the picture). Linking is the
// intent: a row that names the secret before there is one. Nobody but the link
// that makes it and the reconciler sees it.
const (
	Linking             Status = "linking"
	PendingVerification Status = "pending_verification"
	Active              Status = "active"
	Degraded            Status = "degraded"
	Restricted          Status = "restricted"
	ActionRequired      Status = "action_required"
	// Disconnected is a link that was taken away. Its row stays, seen by nobody,
	// for as long as its secret and its history do.
	Disconnected Status = "disconnected"
)

// Works tells whether shipments can be expected to go through: what ShipEngine
// calls an approved connection.
func (s Status) Works() bool { return s == Active || s == Degraded || s == Restricted }

// Work is what is being done to the secret of a connection, beyond one check of
// it. Whoever begins it holds the connection's lease; once that is over,
// whoever comes next, or the reconciler, finishes it or undoes it.
type Work string

// The kinds of work. The intent of a link is a status of its own, Linking.
const (
	NoWork Work = ""
	// WorkCredentials stages or promotes a version of the secret. The row names
	// the version that counts: its labels are brought into line with that.
	WorkCredentials Work = "credentials"
	// WorkUnlink deletes the secret of a Disconnected connection.
	WorkUnlink Work = "unlink"
	// WorkFollow deletes or restores the secret, as the account stands.
	WorkFollow Work = "follow"
)

// RefreshPolicy is how often a connection is checked by itself.
type RefreshPolicy string

// The policies.
const (
	RefreshHourly RefreshPolicy = "hourly"
	RefreshDaily  RefreshPolicy = "daily"
	RefreshOff    RefreshPolicy = "off"
)

// ParseRefreshPolicy reads refresh_policy; another value is fault.Invalid.
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

// Trigger is what made a check happen.
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
	Code    string // the carrier's error code, where it is a known one
}

// HistoryEntry is a check as the history of its connection keeps it.
type HistoryEntry struct {
	Check
	Number  int          // which check of the row it was, from 1
	Status  Status       // of the connection after it
	Changes []Difference // of the contract since the good check before it
}

// HistoryKept is how long an entry of the history is kept, and the row of a
// disconnected connection with it.
const HistoryKept = 90 * 24 * time.Hour

// PreviousKept is how long after a change of credentials the previous ones can
// be brought back.
const PreviousKept = 30 * 24 * time.Hour

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

	Checks              int       // checks with these credentials so far, the link's among them
	History             int       // checks so far, of whatever credentials
	LastCheck           Check     // the latest one
	VerifiedAt          time.Time // the latest good one; zero if none
	ConsecutiveFailures int
	FirstRefusedAt      time.Time // the first refusal that counts since the latest good check; zero if none
	NextRefreshAt       time.Time // zero: never
	Unrecorded          int       // claims of the schedule since the last check that was recorded
	RefreshRequestedAt  time.Time // a check was asked for and has not been made; zero if none
	VerifyCalledAt      time.Time // the last call of verify
	RefreshPolicy       RefreshPolicy

	APIKeyLastFour       string
	CredentialID         string // see CredentialID
	CredentialsUpdatedAt time.Time
	// SecretVersion is the version of the secret that holds the credentials of
	// this row. While Linking it is only what that version is asked to be.
	SecretVersion string
	// Previous is what a change replaced; the zero value if there is none.
	Previous PreviousCredentials
	// LeaseUntil: until then one process is at work on this connection.
	LeaseUntil time.Time
	Work       Work

	ContractExpired       bool
	ContractValidTo       string
	ContractCreditBlocked bool
	ContractHash          string // of the snapshot that is kept: see SnapshotHash
	// MerchantLocationID begins the account's own tracking numbers; empty until a
	// good check has told it.
	MerchantLocationID string

	ExternalID     string
	Metadata       map[string]string
	CreatedAt      time.Time
	ModifiedAt     time.Time
	DisconnectedAt time.Time // zero while it is linked
	// PurgeAt is when the row vanishes: of a disconnected connection, or of one
	// whose account is deleted. Zero: never.
	PurgeAt time.Time
	// Version counts the writes of the row: every write is on the condition
	// that it is the one that was read.
	Version int64
}

// PreviousCredentials is what a rollback brings back.
type PreviousCredentials struct {
	SecretVersion string
	AccountNumber string
	LastFour      string
	CredentialID  string
	Until         time.Time
}

// Available tells whether they can still be brought back.
func (p PreviousCredentials) Available(now time.Time) bool {
	return p.SecretVersion != "" && now.Before(p.Until)
}

// CredentialID tells credentials apart by their API key, without showing it:
// the carrier's limits are counted by key, whatever connections share it
// (contract: "Known traps" 15). 16 hexadecimal digits.
func CredentialID(apiKey secret.Text) string {
	sum := apiKey.Digest("carrierlink credential\x00")
	return hex.EncodeToString(sum[:8])
}

// Same tells whether two connections differ in nothing.
func (c Connection) Same(o Connection) bool {
	if !maps.Equal(c.Metadata, o.Metadata) { // none and an empty one are equal
		return false
	}
	c.Metadata, o.Metadata = nil, nil
	return reflect.DeepEqual(c, o)
}

// Visible tells whether anybody but the reconciler sees the connection.
func (c *Connection) Visible() bool { return c.Status != Linking && c.Status != Disconnected }

// ShownStatus is the status in answers: paused as long as the account is not
// active, whatever the link's own is.
func (c *Connection) ShownStatus() Status {
	if c.Standing == account.StandingPaused || c.Standing == account.StandingDeleted {
		return "paused"
	}
	return c.Status
}

// Scheduled tells whether the connection is checked by itself at NextRefreshAt.
func (c *Connection) Scheduled() bool {
	return c.Visible() && c.Standing == account.StandingActive && c.Work == NoWork && !c.NextRefreshAt.IsZero()
}

// MaskedNumber is the connection's account number as MaskNumber shows it.
func (c *Connection) MaskedNumber() string { return MaskNumber(c.AccountNumber) }

// MaskNumber shows the last three digits of an account number.
func MaskNumber(number string) string {
	if len(number) <= 3 {
		return strings.Repeat("*", len(number))
	}
	return strings.Repeat("*", len(number)-3) + number[len(number)-3:]
}

// LinkOptions says what the intent of a link may pass over.
type LinkOptions struct {
	AllowDuplicate bool // the account may hold the number already
	TakeOver       bool // the intent is there, its lease is over: go on with it
}

// Observation is one check, and when it was made.
type Observation struct {
	Reading Reading
	Trigger Trigger
	Now     time.Time
	Breaker health.Breaker // of the carrier, at that time
	Timing  health.Timing
	Jitter  float64 // from 0 to 1: spreads the schedule
}

// finding is what a check says about the connection in the state that it is in.
type finding uint8

const (
	fine       finding = iota // the link works
	unshipable                // it works, and the contract forbids shipping
	doubted                   // refused, but not to be believed yet
	refused                   // refused
	unheard                   // an outage: says nothing about the link
	strange                   // worth a look, by nobody's fault that a state could express
)

const findings = int(strange) + 1

// transitions is the life of a connection: the state that each finding leads to
// from each state. Nothing leads out of Linking and Disconnected.
var transitions = map[Status][findings]Status{
	PendingVerification: {Active, Restricted, PendingVerification, ActionRequired, PendingVerification, PendingVerification},
	Active:              {Active, Restricted, Active, ActionRequired, Degraded, Active},
	Degraded:            {Active, Restricted, Degraded, ActionRequired, Degraded, Degraded},
	Restricted:          {Active, Restricted, Restricted, ActionRequired, Restricted, Restricted},
	ActionRequired:      {Active, Restricted, ActionRequired, ActionRequired, ActionRequired, ActionRequired},
}

// find says what an observation means: see believe for refusals. A connection that
// was never verified can be refused by another account's answer too.
func (c *Connection) find(o Observation) finding {
	switch {
	case o.Reading.Outcome == carrier.OutcomeOK && o.Reading.Contract.Restriction() != "":
		return unshipable
	case o.Reading.Outcome == carrier.OutcomeOK:
		return fine
	case c.isRefused(o.Reading.Outcome):
		return c.believe(o)
	case o.Reading.Outcome == carrier.OutcomeNumberMismatch:
		return strange
	}
	return unheard
}

// isRefused tells whether an outcome is a refusal of the connection. One that was
// never verified never was another account's, either.
func (c *Connection) isRefused(outcome carrier.Outcome) bool {
	return outcome.IsRefusal() || outcome == carrier.OutcomeNumberMismatch && c.Status == PendingVerification
}

// believe tells whether what the carrier refuses is to be believed: the second
// time, RefusalGap or more after the first, and only if the carrier has answered
// somebody else well since the first. Where there is nobody to compare with, not
// before the refusals have gone on for LoneRefusal. While the carrier's breaker is
// open none is believed, and none from before it closed counts as the first.
//
// That the credentials are gone is our own knowledge: nobody else is asked.
func (c *Connection) believe(o Observation) finding {
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

// Suspected is the reason of a connection whose refusal is not believed yet.
func Suspected(o carrier.Outcome) string { return string(o) + "_suspected" }

// Record applies one check to the connection: status and its reason, counters,
// the contract's flags and the time of the next check. It returns the entry for
// the history; the changes of the contract are the caller's to add.
func (c *Connection) Record(o Observation) HistoryEntry {
	r, now := o.Reading, o.Now
	// Time does not go back for a connection. A refusal that a slow clock told
	// would be too old for the next one, by a right clock.
	if c.LastCheck.At.After(now) {
		now = c.LastCheck.At
	}
	before, found := c.Status, c.find(o)
	c.Checks++
	c.History++
	c.LastCheck = Check{At: now, Outcome: r.Outcome, Latency: r.Latency, Trigger: o.Trigger, Code: r.Code}
	c.ModifiedAt = now
	c.RefreshRequestedAt, c.Unrecorded = time.Time{}, 0
	if next, ok := transitions[before]; ok {
		c.Status = next[found]
	}
	switch found {
	case fine, unshipable:
		c.StatusReason = r.Contract.Restriction()
		c.VerifiedAt, c.ConsecutiveFailures, c.FirstRefusedAt = now, 0, time.Time{}
		c.ContractExpired, c.ContractValidTo, c.ContractCreditBlocked = r.Contract.Expired, r.Contract.ValidTo, r.Contract.CreditBlocked
		c.MerchantLocationID = r.Contract.MerchantLocationID
	case doubted:
		c.ConsecutiveFailures++
		if o.Breaker.Open {
			break
		}
		// The first one that counts; one of before the breaker closed does not.
		if !c.FirstRefusedAt.After(o.Breaker.ChangedAt) {
			c.FirstRefusedAt = now
		}
		if c.Status == PendingVerification || c.Status == Active || c.Status == Degraded {
			c.StatusReason = Suspected(r.Outcome)
		}
	case refused:
		c.ConsecutiveFailures++
		c.StatusReason = string(r.Outcome)
	case unheard, strange:
		c.ConsecutiveFailures++
		if c.Status != before || found == unheard && (c.Status == Degraded || c.Status == PendingVerification) {
			c.StatusReason = string(r.Outcome)
		}
	}
	c.NextRefreshAt = c.nextRefresh(r, o.Now, o.Timing, o.Jitter)
	return HistoryEntry{Check: c.LastCheck, Number: c.History, Status: c.Status}
}

// How long after its first refusal a connection that needs action is checked every
// day; then it is every week.
const dailyRetries = 30 * 24 * time.Hour

// nextRefresh: the policy's interval ± 10 %. After a refusal one gap to 1.4, then
// half of the time that the refusals have gone on, up to an hour; once they are
// believed a day ± 10 %, and after a month a week, whatever the outcome. After an
// outage 1 minute doubling to an hour, and never before the carrier lets us. The
// policy off stays off, but does not keep what was never verified from being
// verified.
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
	if r.Outcome == carrier.OutcomeRateLimited {
		interval = max(interval, carrierPause)
	}
	interval = max(interval, r.RetryAfter)
	return now.Add(interval).Truncate(time.Millisecond)
}

// Reschedule sets the time of the next check after a change of the policy: a
// jittered interval from now, or none.
func (c *Connection) Reschedule(now time.Time, t health.Timing, jitter float64) {
	c.NextRefreshAt = c.nextRefresh(Reading{Outcome: carrier.OutcomeOK}, now, t, jitter)
}
