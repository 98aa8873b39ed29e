// Package cost computes a month's bill of AWS from counted calls and a file of prices.
//
// There is one place for each figure: counts.yaml for what an operation uses, which the
// tests of the functions compare with what they measure; prices.yaml for prices;
// template.yaml for memory, alarms and the like.
package cost

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"math"
	"slices"

	"gopkg.in/yaml.v3"
)

//go:generate go run ./bill -template ../../template.yaml -readme ../../README.md

var (
	//go:embed prices.yaml
	pricesFile []byte
	//go:embed counts.yaml
	countsFile []byte
)

// Operation is what one operation uses.
type Operation struct {
	Function string         `yaml:"function"` // its resource in the template
	Share    float64        `yaml:"share"`    // of the requests of callers
	Month    float64        `yaml:"month"`    // requests for each connection in a month
	Calls    map[string]int `yaml:"calls"`
	Read     float64        `yaml:"read"`  // units of DynamoDB
	Write    float64        `yaml:"write"` // the same
	Answer   int            `yaml:"answer"`
	Log      int            `yaml:"log"`
	Hashes   int            `yaml:"hashes"`  // of passwords
	Mails    int            `yaml:"mails"`   // that somebody gets
	Metrics  int            `yaml:"metrics"` // series that an idle run makes
}

// Counts is the content of counts.yaml.
type Counts struct {
	Operations map[string]Operation `yaml:"operations"`
	Pages      map[string]Operation `yaml:"pages"`
	Schedule   map[string]Operation `yaml:"schedule"`
	Assumed    Assumptions          `yaml:"assumed"`
}

// Assumptions are figures that no test counts; see counts.yaml.
type Assumptions struct {
	Keys            float64 `yaml:"keys"`
	OwnMS           float64 `yaml:"own_ms"`
	CallMS          float64 `yaml:"call_ms"`
	CarrierMS       float64 `yaml:"carrier_ms"`
	ReceiverMS      float64 `yaml:"receiver_ms"`
	ReceiverRequest float64 `yaml:"receiver_request"`
	CarrierRequest  float64 `yaml:"carrier_request"`
	HashMS          float64 `yaml:"hash_ms"`
	Headers         float64 `yaml:"headers"`
	PlatformLog     float64 `yaml:"platform_log"`
	AccessLog       float64 `yaml:"access_log"`
	Delivered       float64 `yaml:"delivered"`
	CarrierMails    float64 `yaml:"carrier_mails"`
	PollsAMinute    float64 `yaml:"polls_a_minute"`
	RetentionDays   float64 `yaml:"retention_days"`
	Mails           float64 `yaml:"mails"`
	TraceReservoir  float64 `yaml:"trace_reservoir"`
	TraceRate       float64 `yaml:"trace_rate"`
	BytesAccount    float64 `yaml:"bytes_account"`
	BytesConnection float64 `yaml:"bytes_connection"`
	BytesCheck      float64 `yaml:"bytes_check"`
	BytesEvent      float64 `yaml:"bytes_event"`
	Events          float64 `yaml:"events"`
	SecretReads     float64 `yaml:"secret_reads"`
}

// Price is the price of something.
type Price struct {
	Unit       string  `yaml:"unit"`
	Per        float64 `yaml:"per"` // units
	USD        float64 `yaml:"usd"`
	Source     string  `yaml:"source"` // the page that was read
	Read       string  `yaml:"read"`   // what of AWS it quotes
	Unverified bool    `yaml:"unverified"`
}

// Prices is the content of prices.yaml.
type Prices struct {
	Region   string           `yaml:"region"`
	Location string           `yaml:"location"`
	Date     string           `yaml:"date"`
	Prices   map[string]Price `yaml:"prices"`
}

// LoadCounts reads counts.yaml.
func LoadCounts() (Counts, error) {
	var c Counts
	if err := strict(countsFile, &c); err != nil {
		return c, fmt.Errorf("counts.yaml: %w", err)
	}
	return c, nil
}

// LoadPrices reads prices.yaml.
func LoadPrices() (Prices, error) {
	var p Prices
	if err := strict(pricesFile, &p); err != nil {
		return p, fmt.Errorf("prices.yaml: %w", err)
	}
	return p, nil
}

func strict(text []byte, to any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	return d.Decode(to)
}

// Policy says how often a connection is checked.
type Policy string

// The refresh policies.
const (
	Hourly Policy = "hourly"
	Daily  Policy = "daily"
	Off    Policy = "off"
)

// A month has 730 hours.
const (
	hours   = 730.0
	minutes = hours * 60
	seconds = minutes * 60
)

// Checks returns how often a connection of the policy is checked in a month.
func (p Policy) Checks() (float64, error) {
	switch p {
	case Hourly:
		return hours, nil
	case Daily:
		return hours / 24, nil
	case Off:
		return 0, nil
	}
	return 0, fmt.Errorf("there is no refresh policy %q: hourly, daily, off", p)
}

// Use is what a month's bill is for.
type Use struct {
	Connections float64
	Policy      Policy
	Calls       float64 // requests of callers
}

// Line is a line of the bill.
type Line struct {
	Service, What string
	Quantity      float64
	Price         Price
}

// USD is what the line costs.
func (l Line) USD() float64 { return l.Quantity / l.Price.Per * l.Price.USD }

// Bill is a month's bill.
type Bill struct {
	Use   Use
	Lines []Line
}

// Total returns the sum of the lines.
func (b Bill) Total() float64 {
	total := 0.0
	for _, l := range b.Lines {
		total += l.USD()
	}
	return total
}

// work is a number of times that an operation is done.
type work struct {
	Operation
	times      float64
	concurrent float64 // calls of an operation that are made at the same time
}

// secretCalls are the calls of Secrets Manager.
var secretCalls = []string{"GetSecretValue", "CreateSecret", "PutSecretValue", "DescribeSecret", "UpdateSecretVersionStage", "DeleteSecret", "RestoreSecret"}

// queueCalls are the calls of SQS that the functions make.
var queueCalls = []string{"GetQueueAttributes", "SendMessageBatch"}

const (
	carrierCall  = "carrier GET"
	receiverCall = "receiver POST"
)

// Compute returns the bill of a month.
func Compute(use Use, counts Counts, prices Prices, stack Stack) (Bill, error) {
	perConnection, err := use.Policy.Checks()
	if err != nil {
		return Bill{}, err
	}
	m := month{counts: counts, stack: stack, use: use, checks: use.Connections * perConnection}
	if err := m.addWork(); err != nil {
		return Bill{}, err
	}
	b := Bill{Use: use}
	add := func(service, what, price string, quantity float64) {
		p, ok := prices.Prices[price]
		if !ok {
			err = fmt.Errorf("prices.yaml has no %s", price)
		}
		b.Lines = append(b.Lines, Line{service, what, quantity, p})
	}
	gb, a := 1e9, counts.Assumed
	add("Secrets Manager", "the service secret, and one for each connection", "secret", 1+use.Connections)
	add("Secrets Manager", "calls", "secret_call", m.calls(secretCalls...))
	add("DynamoDB", "writes", "dynamodb_write", m.sum(func(w work) float64 { return w.Write })+m.firstUses())
	add("DynamoDB", "reads", "dynamodb_read", m.sum(func(w work) float64 { return w.Read }))
	add("DynamoDB", "storage with indexes", "dynamodb_storage", m.stored()/gb)
	add("DynamoDB", "point-in-time recovery", "dynamodb_recovery", m.stored()/gb*boolean(stack.Recovery))
	add("API Gateway", "requests of callers", "api_request", use.Calls)
	add("API Gateway", "requests of the account page", "api_request", m.visits)
	add("Lambda", "starts", "lambda_request", m.starts())
	add("Lambda", "memory × time, "+stack.Architecture, "lambda_"+stack.Architecture, m.gbSeconds())
	add("SQS", "polls of six queues, lengths, messages", "sqs_request", m.queueRequests())
	add("EventBridge", "events on the bus", "event", m.calls("PutEvents"))
	add("CloudWatch", "logs, written", "logs_written", m.logBytes()/gb)
	add("CloudWatch", "logs, kept", "logs_kept", m.logBytes()*a.RetentionDays/(hours/24)/gb)
	add("CloudWatch", "metrics that alarms watch", "alarm_metric", float64(stack.AlarmMetrics))
	add("CloudWatch", "metrics of our own", "metric", m.metrics())
	add("CloudWatch", "dashboards", "dashboard", float64(stack.Dashboards))
	add("X-Ray", "traces", "trace", m.traces())
	add("KMS", "keys of our own", "kms_key", float64(stack.Keys))
	add("SNS", "mails of alarms", "sns_email", a.Mails*boolean(stack.Topics > 0))
	add("SES", "mails to merchants", "ses_mail", m.calls("SendEmail"))
	add("Data transfer", "answers, and calls of carriers", "transfer_out", m.sentBytes()/gb)
	return b, err
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// month counts what a month uses.
type month struct {
	counts Counts
	stack  Stack
	use    Use
	checks float64
	work   []work

	deliveries float64
	visits     float64 // requests for pages and about them
	told       float64 // mails about carriers
	mails      float64 // all mails
}

// addWork lists the work of the month.
func (m *month) addWork() error {
	share := 0.0
	for _, name := range slices.Sorted(maps.Keys(m.counts.Operations)) {
		o := m.counts.Operations[name]
		share += o.Share
		m.work = append(m.work, work{o, o.Share * m.use.Calls, 1})
	}
	if math.Abs(share-1) > 1e-9 {
		return fmt.Errorf("counts.yaml: the shares add up to %v, not to 1", share)
	}
	events := m.use.Connections * m.counts.Assumed.Events
	m.told = m.use.Connections * m.counts.Assumed.CarrierMails
	m.mails = m.told
	for _, name := range slices.Sorted(maps.Keys(m.counts.Pages)) {
		o := m.counts.Pages[name]
		times := o.Month * m.use.Connections
		m.work = append(m.work, work{o, times, 1})
		m.visits += times
		m.mails += times * float64(o.Mails)
	}
	m.deliveries = events * m.counts.Assumed.Delivered
	for name, times := range map[string]float64{
		"pass": minutes * m.stack.PassesPerMinute, "reconcile": minutes / 15, "batch": m.checks / batch,
		"publish": events, "queue": events, "deliver": m.deliveries, "mail": m.mails,
	} {
		o, ok := m.counts.Schedule[name]
		if !ok {
			return fmt.Errorf("counts.yaml: schedule has no %s", name)
		}
		concurrent := 1.0
		switch name {
		case "batch":
			concurrent = batch
		case "deliver": // the test of the function has no receiver
			o.Calls = maps.Clone(o.Calls)
			o.Calls[receiverCall] = 1
		}
		m.work = append(m.work, work{o, times, concurrent})
	}
	for _, w := range m.work {
		if m.stack.Memory[w.Function] == 0 {
			return fmt.Errorf("template.yaml has no function %s", w.Function)
		}
	}
	return nil
}

// batch is how many checks a start of the worker makes. If fewer than ten checks are due
// at a time, batches are smaller; the difference is not worth a figure of its own.
const batch = 10

func (m *month) sum(of func(w work) float64) float64 {
	total := 0.0
	for _, w := range m.work {
		total += w.times * of(w)
	}
	return total
}

func (m *month) calls(names ...string) float64 {
	return m.sum(func(w work) float64 {
		n := 0
		for _, name := range names {
			n += w.Calls[name]
		}
		return float64(n)
	})
}

// firstUses are the second writes of the first use of a key in a minute.
func (m *month) firstUses() float64 {
	return min(m.use.Calls, m.counts.Assumed.Keys*minutes)
}

// starts are the starts of functions. The passes of a minute share one.
func (m *month) starts() float64 {
	return m.sum(func(work) float64 { return 1 }) - minutes*(m.stack.PassesPerMinute-1)
}

func (m *month) gbSeconds() float64 {
	a := m.counts.Assumed
	return m.sum(func(w work) float64 {
		calls, carrier, receiver := 0.0, float64(w.Calls[carrierCall]), float64(w.Calls[receiverCall])
		for _, n := range w.Calls {
			calls += float64(n)
		}
		ms := a.OwnMS + float64(w.Hashes)*a.HashMS + ((calls-carrier-receiver)*a.CallMS+carrier*a.CarrierMS+receiver*a.ReceiverMS)/w.concurrent
		return ms / 1000 * float64(m.stack.Memory[w.Function]) / 1024
	})
}

// metrics are the series of a month in which each gets a value, or of an idle one.
func (m *month) metrics() float64 {
	if m.use.Calls > 0 || m.use.Connections > 0 {
		return float64(m.stack.Metrics)
	}
	return float64(m.counts.Schedule["pass"].Metrics + m.counts.Schedule["reconcile"].Metrics)
}

func (m *month) queueRequests() float64 {
	const queues, deletions = 6, 1 // a batch is received by a poll, and deleted at once
	const sendings = 1             // of a mail about a carrier, by the rule
	return queues*m.counts.Assumed.PollsAMinute*minutes + m.calls(queueCalls...) + (m.checks/batch+m.deliveries+m.mails)*(deletions+1) + m.told*sendings
}

func (m *month) logBytes() float64 {
	a := m.counts.Assumed
	return m.sum(func(w work) float64 { return float64(w.Log) + a.PlatformLog }) + (m.use.Calls+m.visits)*a.AccessLog*boolean(m.stack.AccessLog)
}

// traces are those that X-Ray samples. Requests and the rest share the reservoir; they are
// taken to come evenly.
func (m *month) traces() float64 {
	a := m.counts.Assumed
	sure := min(m.starts(), a.TraceReservoir*seconds)
	return sure + (m.starts()-sure)*a.TraceRate
}

func (m *month) sentBytes() float64 {
	a := m.counts.Assumed
	return m.sum(func(w work) float64 {
		sent := float64(w.Calls[carrierCall])*a.CarrierRequest + float64(w.Calls[receiverCall])*a.ReceiverRequest
		if w.Share+w.Month > 0 {
			sent += float64(w.Answer) + a.Headers
		}
		return sent
	})
}

// stored is the size of the table: each connection has an account of its own, its checks
// are kept for 90 days, its events and the entries about its secret for 400.
func (m *month) stored() float64 {
	a := m.counts.Assumed
	checked := m.checks / (hours / 24) // a day
	events := (m.use.Connections*a.Events/(hours/24) + min(m.use.Connections, checked)*a.SecretReads) * 400
	return m.use.Connections*(a.BytesAccount+a.BytesConnection) + checked*90*a.BytesCheck + events*a.BytesEvent
}
