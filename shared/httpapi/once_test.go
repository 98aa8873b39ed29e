package httpapi_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
)

// table stores records as a store's transactions do.
type table struct {
	claims
	writes, finds int
	findErr       error
}

// write stores a change's answer, or returns the one that is stored.
func (c *table) write(fx effects.Effects, change error) error {
	if fx.Answer != nil {
		if old, ok := c.records[fx.Answer.Scope+"|"+fx.Answer.Key]; ok {
			return &effects.Replay{Record: old}
		}
	}
	if change != nil {
		return change
	}
	c.writes++
	if fx.Answer != nil {
		return c.ClaimIdempotency(context.Background(), *fx.Answer, now())
	}
	return nil
}

func (c *table) find(_ context.Context, rec effects.Record, _ time.Time) (*effects.Record, error) {
	c.finds++
	if c.findErr != nil {
		return nil, c.findErr
	}
	if old, ok := c.records[rec.Scope+"|"+rec.Key]; ok {
		return &old, nil
	}
	return nil, nil //nolint:nilnil // none
}

func TestWrite(t *testing.T) {
	resp := httpapi.JSON(200, "made")
	// written calls Write within Once, as handlers do.
	written := func(t *testing.T, req *httpapi.Request, resp *httpapi.Response, write func(effects.Effects) error) (*httpapi.Response, error) {
		t.Helper()
		return httpapi.Once(t.Context(), sealer(), req, caller("caller"), now(), nil, func(c *httpapi.Change) (*httpapi.Response, error) {
			return c.Write(t.Context(), resp, write)
		})
	}
	t.Run("without a key", func(t *testing.T) {
		tab := &table{}
		for n := 1; n <= 2; n++ {
			got, err := written(t, httpapi.NewRequest("id", post("{}")), resp, func(fx effects.Effects) error {
				if fx.Answer != nil || fx.By != caller("caller").By() {
					t.Errorf("effects: %+v, want By and no answer", fx)
				}
				return tab.write(fx, nil)
			})
			if got != resp || err != nil || tab.writes != n {
				t.Errorf("Write = %v, %v after %d writes", got, err, tab.writes)
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		conflict := fault.New(fault.Conflict, "m")
		got, err := written(t, keyed("id 1", "k", "{}"), resp, func(fx effects.Effects) error { return (&table{}).write(fx, conflict) })
		if got != nil || !errors.Is(err, conflict) {
			t.Errorf("Write = %v, %v, want the refusal", got, err)
		}
	})
	t.Run("first and repeat", func(t *testing.T) {
		tab := &table{}
		write := func(id, body string, resp *httpapi.Response) (*httpapi.Response, error) {
			return written(t, keyed(id, "k", body), resp, func(fx effects.Effects) error {
				if fx.Answer == nil || fx.By != caller("caller").By() {
					t.Errorf("effects: %+v, want By and an answer", fx)
				}
				return tab.write(fx, nil)
			})
		}
		if got, err := write("id 1", "{}", resp); got != resp || err != nil {
			t.Fatalf("Write = %v, %v", got, err)
		}
		got, err := write("id 2", "{}", httpapi.JSON(200, "another"))
		if err != nil || string(got.Body) != `"made"` || got.Header["Idempotent-Replayed"] != "true" || got.Header["X-Request-Id"] != "id 1" {
			t.Errorf("the repeat: %+v, %v", got, err)
		}
		if got, err := write("id 3", "{} ", resp); got != nil || !fault.Is(err, fault.IdempotencyMismatch) {
			t.Errorf("another payload: %+v, %v", got, err)
		}
		if tab.writes != 1 {
			t.Errorf("%d writes, want 1", tab.writes)
		}
	})
	t.Run("an answer without a body", func(t *testing.T) {
		tab := &table{}
		for n, want := range []string{"", "true"} {
			got, err := written(t, keyed("id", "k", ""), &httpapi.Response{Status: 204}, func(fx effects.Effects) error { return tab.write(fx, nil) })
			if err != nil || got.Status != 204 || len(got.Body) != 0 || got.Header["Idempotent-Replayed"] != want {
				t.Errorf("try %d: %+v, %v", n, got, err)
			}
		}
	})
}

// TestShow: the answer shows the result of the last try.
func TestShow(t *testing.T) {
	broken := errors.New("broken")
	show := func(n int) *httpapi.Response {
		if n < 0 {
			return nil
		}
		return httpapi.JSON(200, n)
	}
	tests := []struct {
		name    string
		results []int // one for each try
		err     error // of the change
		want    string
		kept    bool
	}{
		{"the change fails", []int{1}, broken, "", true},
		{"nothing to show", []int{-1}, nil, "", false},
		{"a second try", []int{1, 2}, nil, "2", true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			c := begin(t, keyed("id", "k", "{}"), "caller")
			resp, err := httpapi.Show(t.Context(), c, show, func(fx effects.For[int]) error {
				for _, n := range tc.results {
					made, err := fx.Of(n)
					if err != nil || made.By != caller("caller").By() || (made.Answer != nil) != tc.kept {
						t.Errorf("effects of %d: %+v, %v", n, made, err)
					}
				}
				return tc.err
			})
			got := ""
			if resp != nil {
				got = string(resp.Body)
			}
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("Show = %q, %v, want %q, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestOnce(t *testing.T) {
	moved, broken := fault.New(fault.Precondition, "m"), errors.New("down")
	earlier := func(t *testing.T, body string) map[string]effects.Record {
		t.Helper()
		rec := record(t, keyed("id 1", "k", body), "caller", httpapi.JSON(200, "made"))
		return map[string]effects.Record{rec.Scope + "|" + rec.Key: *rec}
	}
	tests := []struct {
		name, key string
		change    error  // error of do
		kept      string // payload stored under the key; empty: none
		findErr   error
		want      string // body
		kind      []string
		finds     int
	}{
		{"a malformed key", "clé", nil, "", nil, "", []string{"invalid Idempotency-Key"}, 0},
		{"refused, without a key", "", moved, "", nil, "", []string{"precondition"}, 0},
		{"refused", "k", moved, "", nil, "", []string{"precondition"}, 1},
		{"refused, because another payload has done it", "k", moved, "{} ", nil, "", []string{"idempotency mismatch Idempotency-Key"}, 1},
		{"our own fault is no reason to look", "k", broken, "{}", nil, "", []string{"internal"}, 0},
		{"refused, and the look fails", "k", moved, "{}", broken, "", []string{"internal"}, 1},
		{"refused, because its first try has done it", "k", moved, "{}", nil, `"made"`, nil, 1},
		{"a repeat", "k", nil, "{}", nil, `"made"`, nil, 0},
		{"first", "k", nil, "", nil, `"new"`, nil, 0},
		{"without a key", "", nil, "", nil, `"new"`, nil, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			tab := &table{findErr: tc.findErr}
			if tc.kept != "" {
				tab.records = earlier(t, tc.kept)
			}
			req := keyed("id 2", tc.key, "{}")
			if tc.key == "" {
				req = httpapi.NewRequest("id 2", post("{}"))
			}
			resp, err := httpapi.Once(t.Context(), sealer(), req, caller("caller"), now(), tab.find, func(i *httpapi.Change) (*httpapi.Response, error) {
				if tc.change != nil {
					return nil, tc.change
				}
				return i.Write(t.Context(), httpapi.JSON(200, "new"), func(fx effects.Effects) error {
					return tab.write(fx, nil)
				})
			})
			got := ""
			if resp != nil {
				got = string(resp.Body)
			}
			if diff := cmp.Diff(tc.kind, told(err)); diff != "" || got != tc.want || tab.finds != tc.finds {
				t.Errorf("Once = %q after %d calls of find, %v; want %q after %d (-want +got):\n%s", got, tab.finds, err, tc.want, tc.finds, diff)
			}
		})
	}
	t.Run("the secret cannot be read", func(t *testing.T) {
		sealer := seal.New(func(context.Context) (secret.Text, error) { return secret.Text{}, broken }, time.Now)
		_, err := httpapi.Once(t.Context(), sealer, keyed("id", "k", "{}"), caller("caller"), now(), (&table{}).find, func(*httpapi.Change) (*httpapi.Response, error) {
			t.Error("the change is made in spite of the refusal")
			return nil, nil //nolint:nilnil // not reached
		})
		if !errors.Is(err, broken) {
			t.Errorf("Once = %v", err)
		}
	})
}

func TestStringsInstantAndCount(t *testing.T) {
	type input struct {
		List  []string
		At    time.Time
		Count int
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	tests := []struct {
		name, body string
		want       input
		problems   []string
	}{
		{"a text for a list", `{"list":"a"}`, input{}, []string{"invalid list"}},
		{"an object for a list", `{"list":{"0":"a"}}`, input{}, []string{"invalid list"}},
		{"a number in a list", `{"list":["a",1]}`, input{}, []string{"invalid list"}},
		{"null in a list", `{"list":[null]}`, input{}, []string{"invalid list"}},
		{"a list in a list", `{"list":[["a"]]}`, input{}, []string{"invalid list"}},
		{"half a surrogate pair in a list", `{"list":["\ud800"]}`, input{}, []string{"invalid list"}},
		{"what the rule refuses", `{"list":["no"]}`, input{}, []string{"length list"}},
		{"a number for a time", `{"at":1767323045}`, input{}, []string{"invalid at"}},
		{"an empty time", `{"at":""}`, input{}, []string{"invalid at"}},
		{"a date", `{"at":"2026-01-02"}`, input{}, []string{"invalid at"}},
		{"no zone", `{"at":"2026-01-02T03:04:05"}`, input{}, []string{"invalid at"}},
		{"a blank for T", `{"at":"2026-01-02 03:04:05Z"}`, input{}, []string{"invalid at"}},
		{"a day that is none", `{"at":"2026-02-29T00:00:00Z"}`, input{}, []string{"invalid at"}},
		{"a leap second", `{"at":"2016-12-31T23:59:60Z"}`, input{}, []string{"invalid at"}},
		{"the time that is none", `{"at":"0001-01-01T00:00:00Z"}`, input{}, []string{"invalid at"}},
		{"the time that is none, in another zone", `{"at":"0001-01-01T10:00:00+10:00"}`, input{}, []string{"invalid at"}},
		{"a text for a count", `{"count":"5"}`, input{}, []string{"invalid count"}},
		{"a fraction", `{"count":5.0}`, input{}, []string{"invalid count"}},
		{"an exponent", `{"count":1e1}`, input{}, []string{"invalid count"}},
		{"too small", `{"count":1}`, input{}, []string{"invalid count"}},
		{"too large", `{"count":11}`, input{}, []string{"invalid count"}},
		{"beyond 64 bits", `{"count":18446744073709551620}`, input{}, []string{"invalid count"}},
		{"true", `{"count":true}`, input{}, []string{"invalid count"}},
		{"all wrong", `{"count":0,"at":0,"list":0}`, input{}, []string{"invalid list", "invalid at", "invalid count"}},
		{"nulls", `{"count":null,"at":null,"list":null}`, input{}, nil},
		{"an empty list", `{"list":[]}`, input{List: []string{}}, nil},
		{"a list", `{"list":["b","a","b",""]}`, input{List: []string{"b", "a", "b", ""}}, nil},
		{"a time", `{"at":"2026-01-02T03:04:05.678Z"}`, input{At: at}, nil},
		{"more than milliseconds, in another zone", `{"at":"2026-01-02T13:04:05.678999+10:00"}`, input{At: at}, nil},
		{"the minimum", `{"count":2}`, input{Count: 2}, nil},
		{"the maximum", `{"count":10}`, input{Count: 10}, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var got input
			err := httpapi.NewRequest("id", post(tc.body)).JSON(
				httpapi.Strings("list", func(s []string) *fault.Error {
					if len(s) == 1 && s[0] == "no" {
						return fault.Field(fault.Length, "list", "m")
					}
					got.List = s
					return nil
				}),
				httpapi.Instant("at", &got.At), httpapi.Count("count", &got.Count, 2, 10),
			)
			if diff := cmp.Diff(tc.problems, told(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("input (-want +got):\n%s", diff)
			}
		})
	}
}
