package metrics

// Metric is one of the metrics.
type Metric uint8

// The metrics. Of a count CloudWatch has the sum; of the others each value is a sample, so
// that percentiles and the number of samples are known too.
const (
	Requests         Metric = iota // count of answers
	Latency                        // ms until an answer; its samples are the requests
	Failures                       // count of answers that are errors of ours or of the carrier
	Refusals                       // count of refusals by one of our limits
	CarrierLatency                 // ms of a call of the carrier; its samples are the calls
	Checks                         // count of recorded checks
	RefusedChecks                  // count of checks that count against the connection: refused, or without credentials
	FailedChecks                   // count of checks that say nothing about the connection: no usable answer, throttled, our request was wrong
	OldestDue                      // s for which the most overdue check has been due
	BreakerOpen                    // 1 while the breaker of the lane's carrier is open, else 0
	QueueRoom                      // number of production checks that a pass may start
	Throttles                      // count of calls that AWS throttled until the SDK gave up
	InternalErrors                 // count of scheduled checks, announcements of outages and runs of webhooks that failed through our fault
	Malformed                      // count of index entries, messages, events, their accounts and webhooks that cannot be read
	OldestRepair                   // s for which the oldest unfinished work has been due for repair
	RepairsBusy                    // count of unfinished work that another process held
	RepairsLeft                    // count of unfinished work that a run had no time for
	WebhooksDisabled               // count of webhooks disabled because nothing was delivered for five days
	end
)

// definition describes a metric.
type definition struct {
	name, unit string
	dimension  dimension
	total      bool // with the dimension Stage alone, too
	sum        bool // a count: points of one record are added up
}

const (
	count   = "Count"
	millis  = "Milliseconds"
	seconds = "Seconds"
)

var definitions = [end]definition{
	Requests:         {"Requests", count, byOutcome, false, true},
	Latency:          {"Latency", millis, byRoute, false, false},
	Failures:         {"Failures", count, byRoute, false, true},
	Refusals:         {"Refusals", count, byLimit, false, true},
	CarrierLatency:   {"CarrierLatency", millis, byAnswer, false, false},
	Checks:           {"Checks", count, byTrigger, false, true},
	RefusedChecks:    {"RefusedChecks", count, byTrigger, false, true},
	FailedChecks:     {"FailedChecks", count, byTrigger, false, true},
	OldestDue:        {"OldestDue", seconds, byLane, false, false},
	BreakerOpen:      {"BreakerOpen", count, byLane, false, false},
	QueueRoom:        {"QueueRoom", count, byNone, false, false},
	Throttles:        {"Throttles", count, byService, true, true},
	InternalErrors:   {"InternalErrors", count, byNone, false, true},
	Malformed:        {"Malformed", count, byNone, false, true},
	OldestRepair:     {"OldestRepair", seconds, byNone, false, false},
	RepairsBusy:      {"RepairsBusy", count, byNone, false, true},
	RepairsLeft:      {"RepairsLeft", count, byNone, false, true},
	WebhooksDisabled: {"WebhooksDisabled", count, byNone, false, true},
}

// dimension is what a metric is counted by, apart from Stage.
type dimension uint8

const (
	byNone dimension = iota
	byRoute
	byOutcome
	byLimit
	byAnswer
	byTrigger
	byLane
	byService
)

// dimensions has every value that a dimension may have: each is a metric that is paid for.
var dimensions = [...]struct {
	name   string
	values []string
}{
	byRoute:   {"Route", []string{"accounts", "keys", "links", "connections", "charge_accounts", "tracking", "pages", Other}},
	byOutcome: {"Outcome", []string{"ok", "rejected", "refused", "overloaded", "carrier", "ours"}},
	byLimit:   {"Limit", []string{"requests", "tracking", "checking", "linking", "changing", "caps"}},
	byAnswer:  {"Answer", []string{"ok", "refused", "limited", "unavailable", "timeout", Other}},
	byTrigger: {"Trigger", []string{"link", "schedule", "manual", "read"}},
	byLane:    {"Lane", []string{"australia_post", "startrack", "sandbox"}},
	byService: {"Service", []string{"dynamodb", "secrets_manager"}},
}

// Series is a metric with its dimensions other than Stage.
type Series struct{ Name, Dimension, Value string }

// All returns the series of all listed values.
func All() []Series {
	var all []Series
	for _, d := range definitions {
		by := dimensions[d.dimension]
		for _, value := range by.values {
			all = append(all, Series{d.name, by.name, value})
		}
		if d.total || d.dimension == byNone {
			all = append(all, Series{Name: d.name})
		}
	}
	return all
}
