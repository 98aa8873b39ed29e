package calltrace

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Attempt is one run of a test that counts remote calls on an engine. It keeps
// what the run reports for Attempts.
type Attempt struct {
	testing.TB
	N int // 1 for the first

	name  string // of the case, empty outside any
	notes *notes
}

// notes are what an attempt and its cases share.
type notes struct {
	mu       sync.Mutex
	problems []string
	wires    []*Transport
}

// Attempts runs a test that expects exact remote calls. An engine under load may
// lose an answer: the SDK repeats the call, and the repeat can meet what the call
// did, so that other calls follow. What fails in such a run does not count: the
// test is run again, three times at most. Any other failure counts at once.
func Attempts(t *testing.T, run func(*Attempt)) {
	t.Helper()
	for _, problem := range attempts(t, run) {
		t.Error(problem)
	}
}

func attempts(tb testing.TB, run func(*Attempt)) (problems []string) {
	tb.Helper()
	const most = 3
	for n := 1; ; n++ {
		a := &Attempt{TB: tb, N: n, notes: &notes{}}
		a.apart(run)
		if len(a.notes.problems) == 0 || n == most || !a.disturbed() {
			return a.notes.problems
		}
		tb.Logf("run %d does not count, for an answer was lost: %q", n, a.notes.problems)
	}
}

// Watch names a wire whose repeated calls disturb the run.
func (a *Attempt) Watch(w *Transport) {
	a.notes.mu.Lock()
	defer a.notes.mu.Unlock()
	a.notes.wires = append(a.notes.wires, w)
}

func (a *Attempt) disturbed() bool {
	for _, w := range a.notes.wires {
		if w.Repeated() {
			return true
		}
	}
	return false
}

// Run runs a case of the test; a fatal failure ends the case only.
func (a *Attempt) Run(name string, f func(*Attempt)) {
	one := *a
	one.name = strings.TrimPrefix(a.name+"/"+name, "/")
	one.apart(f)
}

// apart runs f to its end, or to a fatal failure.
func (a *Attempt) apart(f func(*Attempt)) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(a)
	}()
	<-ended
}

func (a *Attempt) report(problem string) {
	a.notes.mu.Lock()
	defer a.notes.mu.Unlock()
	if a.name != "" {
		problem = a.name + ": " + problem
	}
	a.notes.problems = append(a.notes.problems, strings.TrimSuffix(problem, "\n"))
}

// Fail notes a failure.
func (a *Attempt) Fail() { a.report("failed") }

// FailNow notes a failure and ends the case.
func (a *Attempt) FailNow() {
	a.Fail()
	runtime.Goexit()
}

// Failed tells whether anything has failed so far.
func (a *Attempt) Failed() bool {
	a.notes.mu.Lock()
	defer a.notes.mu.Unlock()
	return len(a.notes.problems) > 0
}

// Error notes a failure.
func (a *Attempt) Error(args ...any) { a.report(fmt.Sprintln(args...)) }

// Errorf notes a failure.
func (a *Attempt) Errorf(format string, args ...any) { a.report(fmt.Sprintf(format, args...)) }

// Fatal notes a failure and ends the case.
func (a *Attempt) Fatal(args ...any) {
	a.Error(args...)
	runtime.Goexit()
}

// Fatalf notes a failure and ends the case.
func (a *Attempt) Fatalf(format string, args ...any) {
	a.Errorf(format, args...)
	runtime.Goexit()
}
