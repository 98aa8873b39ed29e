package functiontest

import (
	"testing"

	"carrierlink/infra/cost"
	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/metricstest"
)

// Costs checks that infra/cost/counts.yaml has what the last request of a fixture on the
// engines has used: the remote calls, their units and the mails since the last Reset of
// Transport and Take of Mails, the passwords that were hashed or checked, and the bytes of
// answer and log.
func (d *Fixture) Costs(tb testing.TB, operation string) {
	tb.Helper()
	used := cost.Operation{Answer: int(d.last.answer.Load()), Log: int(d.last.log.Load()), Hashes: d.Hashes()}
	used.Mails = d.Mails.toSomebody()
	compare(tb, operation, d.Transport, used)
}

// Costs is Fixture.Costs for work that is no request. It compares the number of series of
// metrics in the log, too.
func Costs(tb testing.TB, work string, w *calltrace.Transport, log string) {
	tb.Helper()
	compare(tb, work, w, cost.Operation{Log: len(log), Metrics: len(metricstest.In(tb, log))})
}

func compare(tb testing.TB, operation string, w *calltrace.Transport, got cost.Operation) {
	tb.Helper()
	got.Calls, got.Read, got.Write = map[string]int{}, w.Units().Read, w.Units().Write
	for _, call := range w.Calls() {
		got.Calls[call]++
	}
	difference, err := cost.Compare(operation, got)
	if err != nil {
		tb.Fatal(err)
	}
	if difference != "" {
		tb.Error(difference)
	}
}
