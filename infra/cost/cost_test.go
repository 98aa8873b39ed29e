package cost

import (
	"math"
	"os"
	"strings"
	"testing"
)

func load(t *testing.T) (Counts, Prices, Stack) {
	t.Helper()
	counts, err := LoadCounts()
	if err != nil {
		t.Fatal(err)
	}
	prices, err := LoadPrices()
	if err != nil {
		t.Fatal(err)
	}
	stack, err := ReadStack("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return counts, prices, stack
}

func line(t *testing.T, b Bill, service, what string) Line {
	t.Helper()
	for _, l := range b.Lines {
		if l.Service == service && strings.Contains(l.What, what) {
			return l
		}
	}
	t.Fatalf("the bill has no line %s, %s", service, what)
	return Line{}
}

func TestWrongUse(t *testing.T) {
	counts, prices, stack := load(t)
	if _, err := Compute(Use{Policy: "weekly"}, counts, prices, stack); err == nil || !strings.Contains(err.Error(), "weekly") {
		t.Errorf("Compute with the policy weekly = %v, want an error that names it", err)
	}
	for _, text := range []string{"", "-1", "1e6", "ten", "k", "1.5M", "99999999999999999999"} {
		if n, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", text, n)
		}
	}
	for text, want := range map[string]float64{"0": 0, "100000": 1e5, "100_000": 1e5, "100k": 1e5, "1M": 1e6} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

// TestMissingFigures: a bill does not silently leave out what it does not know.
func TestMissingFigures(t *testing.T) {
	for name, damage := range map[string]func(*Counts, *Prices, *Stack){
		"price":    func(_ *Counts, p *Prices, _ *Stack) { delete(p.Prices, "trace") },
		"function": func(_ *Counts, _ *Prices, s *Stack) { delete(s.Memory, "LinkCarrierFunction") },
		"share":    func(c *Counts, _ *Prices, _ *Stack) { delete(c.Operations, "link") },
		"pass":     func(c *Counts, _ *Prices, _ *Stack) { delete(c.Schedule, "pass") },
	} {
		counts, prices, stack := load(t)
		damage(&counts, &prices, &stack)
		if _, err := Compute(Use{Policy: Daily, Connections: 1, Calls: 1}, counts, prices, stack); err == nil {
			t.Errorf("Compute without a %s succeeds", name)
		}
	}
}

func TestPricesHaveSources(t *testing.T) {
	_, prices, _ := load(t)
	if prices.Region != "ap-southeast-2" || prices.Date == "" {
		t.Errorf("prices of %q, %q, want a Region and a date", prices.Region, prices.Date)
	}
	for name, p := range prices.Prices {
		if p.USD <= 0 || p.Per <= 0 || p.Unit == "" || !strings.HasPrefix(p.Source, "https://") || p.Unverified == (p.Read != "") {
			t.Errorf("%s: %+v, want a price, a unit, a source, and either when it was read or that it was not", name, p)
		}
	}
}

func TestBill(t *testing.T) {
	counts, prices, stack := load(t)
	bill := func(connections, calls float64, p Policy) Bill {
		b, err := Compute(Use{Connections: connections, Calls: calls, Policy: p}, counts, prices, stack)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > math.Abs(want)*1e-6+1e-9 {
			t.Errorf("%s = %v, want %v", what, got, want)
		}
	}
	idle := bill(0, 0, Off)
	near("secrets of an idle stack", line(t, idle, "Secrets Manager", "secret").USD(), 0.40)
	near("starts of an idle stack", line(t, idle, "Lambda", "starts").Quantity, 43_800+2_920)
	near("reads of an idle stack", line(t, idle, "DynamoDB", "reads").Quantity, 43_800*counts.Schedule["pass"].Read+2_920*counts.Schedule["reconcile"].Read)
	near("SQS requests of an idle stack", line(t, idle, "SQS", "").Quantity, 3_942_000+219_000)
	near("its writes", line(t, idle, "DynamoDB", "writes").Quantity, 0)

	busy := bill(100_000, 1_000_000, Daily)
	near("secrets", line(t, busy, "Secrets Manager", "secret").USD(), 40_000.40)
	near("requests", line(t, busy, "API Gateway", "requests").USD(), 3.50)
	checks := 100_000 * hours / 24
	visits, mails, visitWrites := 0.0, counts.Assumed.CarrierMails, 0.0
	for _, o := range counts.Pages {
		visits += o.Month
		mails += o.Month * float64(o.Mails)
		visitWrites += o.Month * o.Write
	}
	if visits < 1 || mails <= counts.Assumed.CarrierMails || visitWrites <= 0 {
		t.Errorf("the pages of a connection make %v requests, %v mails and %v writes in a month", visits, mails, visitWrites)
	}
	near("requests of the account page", line(t, busy, "API Gateway", "account page").USD(), 100_000*visits/1_000_000*3.50)
	near("mails", line(t, busy, "SES", "").USD(), 100_000*mails/1000*0.10)
	delivered := 100_000 * (counts.Schedule["queue"].Write + counts.Schedule["deliver"].Write + mails*counts.Schedule["mail"].Write + visitWrites)
	writes := checks/10*counts.Schedule["batch"].Write + 438_000 + delivered
	for _, o := range counts.Operations {
		writes += 1_000_000 * o.Share * o.Write
	}
	near("writes", line(t, busy, "DynamoDB", "writes").Quantity, writes)
	if off := bill(100_000, 1_000_000, Off); off.Total() >= busy.Total() {
		t.Errorf("without checks the month costs %v, with them %v", off.Total(), busy.Total())
	}
	near("hourly checks", line(t, bill(100_000, 0, Hourly), "DynamoDB", "writes").Quantity, 100_000*hours/10*counts.Schedule["batch"].Write+delivered)

	if notes := Notes(busy.Use, stack); len(notes) != 0 {
		t.Errorf("notes on 100,000 daily connections: %q", notes)
	}
	if notes := Notes(Use{Connections: 1_000_000, Policy: Daily}, stack); len(notes) != 1 {
		t.Errorf("notes on 1,000,000 daily connections: %q, want one about RefreshesPerMinute", notes)
	}
}

// TestUnverifiedPricesAreMarked: the text says which lines rest on another Region's price.
func TestUnverifiedPricesAreMarked(t *testing.T) {
	counts, prices, stack := load(t)
	b, err := Compute(Use{Connections: 10, Calls: 10, Policy: Daily}, counts, prices, stack)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Print(&out, b, prices, stack); err != nil {
		t.Fatal(err)
	}
	for _, l := range b.Lines {
		if l.Quantity == 0 {
			continue
		}
		marked := false
		for row := range strings.Lines(out.String()) {
			if strings.HasSuffix(strings.TrimRight(row, "\n"), "  "+l.What) {
				marked = strings.Contains(row, mark)
			}
		}
		if marked != l.Price.Unverified {
			t.Errorf("%s, %s: marked = %v, want %v:\n%s", l.Service, l.What, marked, l.Price.Unverified, out.String())
		}
		if !strings.Contains(out.String(), l.Price.Source) {
			t.Errorf("the bill does not show the source %s", l.Price.Source)
		}
	}
}

// TestReadme: the tables of the README are those of this package; go generate ./infra/cost/... updates them.
func TestReadme(t *testing.T) {
	counts, prices, stack := load(t)
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := Markdown(counts, prices, stack, Shown)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Replace(string(text), tables)
	if err != nil {
		t.Fatal(err)
	}
	if want != string(text) {
		t.Error("the tables of the README are not those of prices, counts and template: run go generate ./infra/cost")
	}
}
