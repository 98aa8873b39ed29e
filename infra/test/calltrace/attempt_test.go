package calltrace

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// send makes a call with an invocation id.
func send(tb testing.TB, w *Transport, url, invocation string) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "secretsmanager.CreateSecret")
	r.Header.Set("Amz-Sdk-Invocation-Id", invocation)
	resp, err := w.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		tb.Error(err)
	}
}

func TestRepeated(t *testing.T) {
	engine := httptest.NewServer(http.NotFoundHandler())
	defer engine.Close()
	var w Transport
	for _, tc := range []struct {
		invocation string
		calls      int
		repeated   bool
	}{{"a", 1, false}, {"b", 2, false}, {"b", 2, true}, {"c", 3, true}} {
		send(t, &w, engine.URL, tc.invocation)
		if got := w.Calls(); len(got) != tc.calls || w.Repeated() != tc.repeated {
			t.Errorf("after %s: calls %q, repeated %v, want %d and %v", tc.invocation, got, w.Repeated(), tc.calls, tc.repeated)
		}
	}
}

// TestAttempts: a test runs again only after a run with a repeated call.
func TestAttempts(t *testing.T) {
	engine := httptest.NewServer(http.NotFoundHandler())
	defer engine.Close()
	for _, tc := range []struct {
		name             string
		failing, repeats int // the first runs that fail, and that repeat a call
		want             []string
		runs             int
	}{
		{"a failure counts at once", 9, 0, []string{"case: wrong in run 1", "case: fatal in run 1", "after the case"}, 1},
		{"a failure in a run without a repeat", 9, 1, []string{"case: wrong in run 2", "case: fatal in run 2", "after the case"}, 2},
		{"every run repeats a call", 9, 9, []string{"case: wrong in run 3", "case: fatal in run 3", "after the case"}, 3},
		{"a lost answer", 1, 1, nil, 2},
		{"a lost answer that changed nothing", 0, 9, nil, 1},
		{"no failure", 0, 0, nil, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			runs := 0
			got := attempts(t, func(a *Attempt) {
				runs++
				var w Transport
				a.Watch(&w)
				send(a, &w, engine.URL, "a")
				if a.N <= tc.repeats {
					send(a, &w, engine.URL, "a")
				}
				a.Run("case", func(a *Attempt) {
					if a.N <= tc.failing {
						a.Errorf("wrong in run %d", a.N)
						a.Fatal("fatal in run", a.N)
						a.Error("not reached")
					}
				})
				if a.Failed() {
					a.Error("after the case")
				}
			})
			if diff := cmp.Diff(tc.want, got); diff != "" || runs != tc.runs {
				t.Errorf("%d runs, want %d; problems (-want +got):\n%s", runs, tc.runs, diff)
			}
			if text := strings.Join(got, ""); strings.Contains(text, "not reached") {
				t.Errorf("a fatal failure did not end the case: %s", text)
			}
		})
	}
}
