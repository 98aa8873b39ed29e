package carrier

import (
	"strings"
	"time"

	"carrierlink/shared/fault"
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
)

// Works tells whether shipments can be expected to go through: what ShipEngine
// calls an approved connection.
func (s Status) Works() bool { return s == Active || s == Degraded || s == Restricted }

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
	Outcome Outcome
	Latency time.Duration
	Trigger Trigger
	Code    string // the carrier's error code, where it is a known one
}

// Connection is one merchant's link to one charge account.
type Connection struct {
	ID            string
	AccountID     int64
	PartnerID     int64
	Carrier       Name
	AccountNumber string
	Nickname      string
	Status        Status
	StatusReason  string

	Checks              int       // checks so far, the link's among them
	LastCheck           Check     // the latest one
	VerifiedAt          time.Time // the latest good one; zero if none
	ConsecutiveFailures int
	FirstRefusedAt      time.Time // the first refusal since the latest good check; zero if none
	NextRefreshAt       time.Time // zero: never
	RefreshPolicy       RefreshPolicy

	APIKeyLastFour       string
	CredentialsUpdatedAt time.Time
	// SecretVersion names the version of the secret that the row stands for: it
	// is written before the secret is, so that a repeat can tell its own work.
	SecretVersion string
	// LeaseUntil: until then one process is at work on this connection.
	LeaseUntil time.Time

	ContractExpired       bool
	ContractValidTo       string
	ContractCreditBlocked bool

	ExternalID string
	Metadata   map[string]string
	CreatedAt  time.Time
	ModifiedAt time.Time
	// Version counts the writes of the row: every write is on the condition
	// that it is the one that was read.
	Version int64
}

// MaskedNumber shows the last three digits of the account number.
func (c *Connection) MaskedNumber() string {
	if len(c.AccountNumber) <= 3 {
		return strings.Repeat("*", len(c.AccountNumber))
	}
	return strings.Repeat("*", len(c.AccountNumber)-3) + c.AccountNumber[len(c.AccountNumber)-3:]
}

// LinkOptions says what the intent of a link may pass over.
type LinkOptions struct {
	AllowDuplicate bool // the account may hold the number already
	TakeOver       bool // the intent is there, its lease is over: go on with it
}

// RefusalGap is the least time between two refusals that together mark a
// connection: Australia Post answered 401 to good keys for days in October
// 2017, so one says nothing (contract: "Known traps" 1).
const RefusalGap = 10 * time.Minute

// Record applies one check to the connection: status and its reason, counters,
// the contract's flags and the time of the next check. jitter, 0 to 1, spreads
// the schedule; gap is RefusalGap outside local stacks.
//
// A good check makes it active, or restricted when the contract forbids
// shipping. An outage makes an active one degraded, and never anything worse. A
// refusal changes nothing until another one comes at least gap later; then, or
// at once while it was never verified (then another account's answer counts as
// one), it is action_required, which stops the schedule.
func (c *Connection) Record(r Reading, trigger Trigger, now time.Time, gap time.Duration, jitter float64) {
	c.Checks++
	c.LastCheck = Check{At: now, Outcome: r.Outcome, Latency: r.Latency, Trigger: trigger, Code: r.Code}
	c.ModifiedAt = now
	switch r.Outcome.class() {
	case good:
		c.Status, c.StatusReason = Active, ""
		if reason := r.Contract.Restriction(); reason != "" {
			c.Status, c.StatusReason = Restricted, reason
		}
		c.VerifiedAt, c.ConsecutiveFailures, c.FirstRefusedAt = now, 0, time.Time{}
		c.ContractExpired, c.ContractValidTo, c.ContractCreditBlocked = r.Contract.Expired, r.Contract.ValidTo, r.Contract.CreditBlocked
	case refusal:
		c.ConsecutiveFailures++
		switch {
		case c.FirstRefusedAt.IsZero() && c.Status != PendingVerification:
			c.FirstRefusedAt = now
		case c.Status == PendingVerification, now.Sub(c.FirstRefusedAt) >= gap:
			c.Status, c.StatusReason = ActionRequired, string(r.Outcome)
		}
	case outage:
		c.ConsecutiveFailures++
		if c.Status == Active {
			c.Status = Degraded
		}
		if c.Status == Degraded || c.Status == PendingVerification {
			c.StatusReason = string(r.Outcome)
		}
	case neither:
		c.ConsecutiveFailures++
		if c.Status == PendingVerification {
			c.Status, c.StatusReason = ActionRequired, string(r.Outcome)
		}
	}
	c.NextRefreshAt = c.nextRefresh(r, now, gap, jitter)
}

// nextRefresh: the policy's interval ± 10 %; after a refusal gap to one and a
// half gaps; after an outage 1 minute doubling to an hour, and never before the
// carrier lets us. The policy off does not keep what was never verified from
// being verified.
func (c *Connection) nextRefresh(r Reading, now time.Time, gap time.Duration, jitter float64) time.Time {
	interval := c.RefreshPolicy.interval()
	if interval == 0 && c.Status == PendingVerification {
		interval = time.Hour
	}
	if interval == 0 || c.Status == ActionRequired {
		return time.Time{}
	}
	switch r.Outcome.class() {
	case refusal:
		interval = gap + time.Duration(jitter*float64(gap)/2)
	case outage, neither:
		backoff := time.Minute << min(c.ConsecutiveFailures-1, 6)
		interval = min(interval, backoff, time.Hour)
		interval += time.Duration((jitter - 0.5) * 0.2 * float64(interval))
	case good:
		interval += time.Duration((jitter - 0.5) * 0.2 * float64(interval))
	}
	if r.Outcome == OutcomeRateLimited {
		interval = max(interval, r.RetryAfter, carrierPause)
	}
	return now.Add(interval).Truncate(time.Millisecond)
}
