package calltrace

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Attempt is a run of a test that counts remote calls on an engine. It keeps the
// failures of the run for Attempts.
type Attempt struct {
	testing.TB
	N int // 1 for the first

	name string // of the case; empty outside of cases
	run  *run
}

// run is what an attempt and its cases share.
type run struct {
	mu       sync.Mutex
	problems []string
	traced   []*Transport
}

// Attempts runs a test that expects exact remote calls. An engine under load may
// lose an answer. The SDK then repeats the call, and the repeat can find the
// result of the first call, so that other calls follow. Failures of such a run do
// not count: the test runs again, three times in all. Any other failure counts at
// once.
func Attempts(t *testing.T, test func(*Attempt)) {
	t.Helper()
	for _, problem := range attempts(t, test) {
		t.Error(problem)
	}
}

func attempts(tb testing.TB, test func(*Attempt)) (problems []string) {
	tb.Helper()
	const limit = 3
	for n := 1; ; n++ {
		a := &Attempt{TB: tb, N: n, run: &run{}}
		a.inGoroutine(test)
		if len(a.run.problems) == 0 || n == limit || !a.disturbed() {
			return a.run.problems
		}
		tb.Logf("run %d does not count because an answer was lost: %q", n, a.run.problems)
	}
}

// Watch adds a transport: if the SDK repeats a call over it, failures of the run do
// not count.
func (a *Attempt) Watch(w *Transport) {
	a.run.mu.Lock()
	defer a.run.mu.Unlock()
	a.run.traced = append(a.run.traced, w)
}

func (a *Attempt) disturbed() bool {
	for _, w := range a.run.traced {
		if w.Repeated() {
			return true
		}
	}
	return false
}

// Run runs a case of the test. A fatal failure ends only the case.
func (a *Attempt) Run(name string, f func(*Attempt)) {
	c := *a
	c.name = strings.TrimPrefix(a.name+"/"+name, "/")
	c.inGoroutine(f)
}

// inGoroutine runs f until it returns or fails fatally.
func (a *Attempt) inGoroutine(f func(*Attempt)) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(a)
	}()
	<-ended
}

func (a *Attempt) report(problem string) {
	a.run.mu.Lock()
	defer a.run.mu.Unlock()
	if a.name != "" {
		problem = a.name + ": " + problem
	}
	a.run.problems = append(a.run.problems, strings.TrimSuffix(problem, "\n"))
}

// Fail records a failure.
func (a *Attempt) Fail() { a.report("failed") }

// FailNow records a failure and ends the case.
func (a *Attempt) FailNow() {
	a.Fail()
	runtime.Goexit()
}

// Failed tells whether anything has failed so far.
func (a *Attempt) Failed() bool {
	a.run.mu.Lock()
	defer a.run.mu.Unlock()
	return len(a.run.problems) > 0
}

// Error records a failure.
func (a *Attempt) Error(args ...any) { a.report(fmt.Sprintln(args...)) }

// Errorf records a failure.
func (a *Attempt) Errorf(format string, args ...any) { a.report(fmt.Sprintf(format, args...)) }

// Fatal records a failure and ends the case.
func (a *Attempt) Fatal(args ...any) {
	a.Error(args...)
	runtime.Goexit()
}

// Fatalf records a failure and ends the case.
func (a *Attempt) Fatalf(format string, args ...any) {
	a.Errorf(format, args...)
	runtime.Goexit()
}
