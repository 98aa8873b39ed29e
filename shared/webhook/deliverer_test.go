package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/effects"
	"carrierlink/shared/outbound"
	"carrierlink/shared/secret"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/webhook"
)

// TestFailedAttempts: what a receiver may do wrong is recorded in our words, is retried, and in
// the end is given up.
func TestFailedAttempts(t *testing.T) {
	status := func(n int) receiver { return answers(outbound.Result{Status: n, Answer: []byte("no")}, 0) }
	for _, tc := range []struct {
		name   string
		answer receiver
		want   webhook.Attempt // of the first one; the time does not matter
	}{
		{"it hangs", answers(ok, time.Hour), webhook.Attempt{Latency: 15 * time.Second, Failure: outbound.ErrTimeout.Error()}},
		{"it answers after 20 s", answers(ok, 20*time.Second), webhook.Attempt{Latency: 15 * time.Second, Failure: outbound.ErrTimeout.Error()}},
		{"it resets the connection", nil, webhook.Attempt{Failure: outbound.ErrConnection.Error()}},
		{"it has another host's certificate", func(context.Context, string, int) (outbound.Result, error) {
			return outbound.Result{}, outbound.ErrTLS
		}, webhook.Attempt{Failure: outbound.ErrTLS.Error()}},
		{"its name means a private address now", func(context.Context, string, int) (outbound.Result, error) {
			return outbound.Result{}, outbound.ErrAddress
		}, webhook.Attempt{Failure: outbound.ErrAddress.Error()}},
		{"it redirects", status(http.StatusFound), webhook.Attempt{HTTPStatus: 302, Failure: "the receiver redirects, which is not followed"}},
		{"400", status(http.StatusBadRequest), webhook.Attempt{HTTPStatus: 400, Failure: "the status is not 2xx"}},
		{"500", status(http.StatusInternalServerError), webhook.Attempt{HTTPStatus: 500, Failure: "the status is not 2xx"}},
		{"a status that does not exist", status(999), webhook.Attempt{HTTPStatus: 999, Failure: "the status is not 2xx"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			delivers(t, func(d *delivering) {
				ref := d.hook(partner, url, tc.answer)
				e := d.happen(merchant, "se-1", 1)[0]
				time.Sleep(30 * time.Second)
				first := d.delivery(ref, e)
				if first.Status != webhook.Retrying || len(first.Attempts) == 0 {
					d.Fatalf("delivery = %+v, want one that is retried", first)
				}
				at := first.Attempts[0].At
				tc.want.At = at
				if diff := cmp.Diff(tc.want, first.Attempts[0]); diff != "" {
					d.Errorf("first attempt (-want +got):\n%s", diff)
				}
				time.Sleep(80 * time.Hour)
				last := d.delivery(ref, e)
				took := last.Attempts[len(last.Attempts)-1].At.Sub(at)
				if last.Status != webhook.Failed || len(last.Attempts) != webhook.MaxAttempts || took < 37*time.Hour || took > 76*time.Hour || d.pending(ref) != 0 {
					d.Errorf("after %d attempts in %v the delivery is %s, %d are pending; want %d in 38 to 76 hours, failed, and 0",
						len(last.Attempts), took, last.Status, d.pending(ref), webhook.MaxAttempts)
				}
				if last.FinishedAt.IsZero() || !last.NextAttemptAt.IsZero() || last.EventType != e.Type {
					d.Errorf("delivery = %+v", last)
				}
			})
		})
	}
}

// TestSchedule: the delays are those of Standard Webhooks, between their half and their
// whole. What is tried in between, to find out whether the receiver is back, does not count.
func TestSchedule(t *testing.T) {
	delivers(t, func(d *delivering) {
		ref := d.hook(partner, url, answers(outbound.Result{Status: 500}, 0))
		e := d.happen(merchant, "se-1", 1)[0]
		start, seen := time.Now(), 0
		wholes := []time.Duration{
			5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		}
		for pause := 10 * time.Millisecond; time.Since(start) < 80*time.Hour; time.Sleep(pause) {
			if time.Since(start) > 10*time.Second {
				pause = time.Minute
			}
			got, err := d.store.Delivery(d.Context(), ref, e.ID)
			n := len(got.Attempts)
			if err != nil || n == seen || n == webhook.MaxAttempts {
				continue
			}
			if n != seen+1 {
				d.Fatalf("%d attempts after %d", n, seen)
			}
			seen = n
			if delay := got.NextAttemptAt.Sub(got.Attempts[n-1].At); delay < wholes[n-1]/2 || delay > wholes[n-1] {
				d.Errorf("after attempt %d the next is in %v, want between half of %v and all of it", n, delay, wholes[n-1])
			}
		}
		if seen != len(wholes) {
			d.Errorf("%d attempts were followed by another, want %d", seen, len(wholes))
		}
		if n := len(d.arrivals(url)); n < 100 || n > 6*76+20 {
			d.Errorf("%d requests, want one every ten minutes about", n)
		}
	})
}

// TestRetryAfter: what a receiver asks for is a minimum, for at most a day, and only with
// 429 and 503.
func TestRetryAfter(t *testing.T) {
	for _, tc := range []struct {
		status      int
		asked       time.Duration
		least, most time.Duration
	}{
		{http.StatusInternalServerError, time.Hour, 0, 10 * time.Second},
		{http.StatusServiceUnavailable, time.Second, 0, 10 * time.Second},
		{http.StatusTooManyRequests, time.Hour, time.Hour, time.Hour + 2*time.Minute},
		{http.StatusServiceUnavailable, 24 * time.Hour, 24 * time.Hour, 24*time.Hour + 2*time.Minute},
	} {
		t.Run(fmt.Sprint(tc.status, " ", tc.asked), func(t *testing.T) {
			delivers(t, func(d *delivering) {
				d.hook(partner, url, func(_ context.Context, _ string, n int) (outbound.Result, error) {
					if n > 1 {
						return ok, nil
					}
					return outbound.Result{Status: tc.status, RetryAfter: tc.asked}, nil
				})
				events := d.happen(merchant, "se-1", 1)
				time.Sleep(48 * time.Hour)
				got := d.arrivals(url)
				if len(got) != 2 || got[1].at.Sub(got[0].at) < tc.least || got[1].at.Sub(got[0].at) > tc.most {
					d.Errorf("requests at %v, want two, %v to %v apart", got, tc.least, tc.most)
				}
				d.arrived(url, events)
			})
		})
	}
}

// TestRetryAfterIsForTheReceiver: while it asks for no requests, it gets none, but for ten
// minutes at most.
func TestRetryAfterIsForTheReceiver(t *testing.T) {
	delivers(t, func(d *delivering) {
		d.hook(partner, url, answers(outbound.Result{Status: 503, RetryAfter: time.Hour}, 0))
		d.happen(merchant, "se-1", 1)
		time.Sleep(time.Second)
		d.happen(merchant, "se-2", 1)
		time.Sleep(9 * time.Minute)
		if got := d.arrivals(url); len(got) != 1 {
			d.Errorf("%d requests within nine minutes, want 1", len(got))
		}
		time.Sleep(2 * time.Minute)
		if got := d.arrivals(url); len(got) != 2 {
			d.Errorf("%d requests within eleven minutes, want 2", len(got))
		}
	})
}

// TestGone: 410 disables the webhook at once, which its owner's other webhooks are told.
func TestGone(t *testing.T) {
	delivers(t, func(d *delivering) {
		ref := d.hook(partner, url, answers(outbound.Result{Status: http.StatusGone}, 0))
		e := d.happen(merchant, "se-1", 1)[0]
		time.Sleep(time.Second)
		d.happen(merchant, "se-2", 1)
		time.Sleep(100 * time.Hour)
		w, err := d.service.Get(d.Context(), ref)
		if err != nil || w.DisabledFor != webhook.Gone || len(d.arrivals(url)) != 1 {
			d.Errorf("the webhook is %+v, %v after %d requests, want disabled after 1", w, err, len(d.arrivals(url)))
		}
		if got := d.delivery(ref, e); got.Status != webhook.Failed {
			d.Errorf("the delivery is %s, want failed", got.Status)
		}
		d.disabledOnce(partner)
	})
}

// disabledOnce checks that one event reports a webhook that was disabled.
func (d *delivering) disabledOnce(o webhook.Owner) {
	d.Helper()
	found, _, err := d.store.ListEvents(d.Context(), effects.Listing{PartnerID: o.PartnerID, Types: []effects.EventType{effects.WebhookDisabled}, Limit: 10})
	if err != nil || len(found) != 1 {
		d.Errorf("%d events %s, %v, want 1", len(found), effects.WebhookDisabled, err)
	}
}

// TestFiveDays: after five days of failures a webhook is disabled; a success in between
// begins them anew, and so does a week without an event.
func TestFiveDays(t *testing.T) {
	for _, tc := range []struct {
		name     string
		good     func(day int) bool
		every    time.Duration // an event
		days     int
		disabled int // within this day; zero: never
	}{
		{"failing all the time", func(int) bool { return false }, time.Hour, 8, 6},
		{"few events", func(int) bool { return false }, 40 * time.Hour, 8, 6},
		{"one good day", func(day int) bool { return day == 4 }, time.Hour, 11, 10},
		{"an event a week", func(int) bool { return false }, 7 * 24 * time.Hour, 30, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			delivers(t, func(d *delivering) {
				start := time.Now()
				ref := d.hook(partner, url, func(context.Context, string, int) (outbound.Result, error) {
					if tc.good(int(time.Since(start)/(24*time.Hour)) + 1) {
						return ok, nil
					}
					return outbound.Result{Status: 500}, nil
				})
				disabled := 0
				for next := start; time.Since(start) < time.Duration(tc.days)*24*time.Hour && disabled == 0; time.Sleep(time.Hour) {
					if !time.Now().Before(next) {
						d.happen(merchant, "se-1", 1)
						next = next.Add(tc.every)
					}
					if w, err := d.service.Get(d.Context(), ref); err != nil || !w.DisabledAt.IsZero() {
						disabled = int(time.Since(start)/(24*time.Hour)) + 1
					}
				}
				if disabled != tc.disabled {
					d.Errorf("disabled on day %d, want %d", disabled, tc.disabled)
				}
				if tc.disabled > 0 {
					d.disabledOnce(partner)
				}
			})
		})
	}
}

// TestOutage: after a day of 500s everything is delivered within minutes, in the order of
// each resource, and while it lasts the receiver is asked now and then only.
func TestOutage(t *testing.T) {
	delivers(t, func(d *delivering) {
		start := time.Now()
		down := func() bool { return time.Since(start) < 24*time.Hour }
		ref := d.hook(partner, url, func(ctx context.Context, _ string, _ int) (outbound.Result, error) {
			if down() {
				return outbound.Result{Status: 500}, nil
			}
			return answers(ok, 100*time.Millisecond)(ctx, "", 0)
		})
		bySubject := map[string][]effects.Event{}
		for i := range 24 * 12 {
			subject := fmt.Sprint("se-", i%40)
			bySubject[subject] = append(bySubject[subject], d.happen(merchant, subject, 1)...)
			time.Sleep(5*time.Minute - time.Millisecond)
		}
		asked := len(d.arrivals(url))
		time.Sleep(15 * time.Minute)
		if n := d.pending(ref); n != 0 {
			d.Errorf("%d events are pending a quarter of an hour after the outage", n)
		}
		if asked > 24*6*8+50 {
			d.Errorf("%d requests within the day of the outage, want 8 every ten minutes at most", asked)
		}
		d.inOrder(url, bySubject)
	})
}

// inOrder checks that a receiver took the events of each subject in their order.
func (d *delivering) inOrder(url string, bySubject map[string][]effects.Event) {
	d.Helper()
	got := map[string][]string{}
	for _, a := range d.arrivals(url) {
		if a.status == http.StatusOK && !slices.Contains(got[a.subject], a.id) {
			got[a.subject] = append(got[a.subject], a.id)
		}
	}
	for subject, events := range bySubject {
		var want []string
		for _, e := range events {
			want = append(want, e.ID)
		}
		if !slices.Equal(got[subject], want) {
			d.Errorf("%s: %d events arrived, want %d in order: %q, %q", subject, len(got[subject]), len(want), got[subject], want)
		}
	}
}

// TestPoison: events that their receiver never takes wait by themselves with the later ones of
// their resource. All others flow; and what had to wait for days is delivered all the same.
func TestPoison(t *testing.T) {
	delivers(t, func(d *delivering) {
		poison := map[string]bool{}
		ref := d.hook(partner, url, func(_ context.Context, id string, _ int) (outbound.Result, error) {
			if poison[id] {
				return outbound.Result{Status: 500}, nil
			}
			return ok, nil
		})
		bad := d.written(merchant, "se-bad", 5)
		for _, e := range bad[:3] {
			poison[e.ID] = true
		}
		d.dispatch(bad)
		time.Sleep(time.Minute)
		flow := func(within, pause time.Duration) {
			good := d.happen(merchant, "se-good", 1)
			time.Sleep(within)
			if got := d.delivery(ref, good[0]); got.Status != webhook.Delivered {
				d.Fatalf("another resource's event is %q %v later", got.Status, within)
			}
			time.Sleep(pause)
		}
		for range 60 {
			flow(10*time.Second, time.Minute)
		}
		if n := len(d.delivery(ref, bad[0]).Attempts); n > 5 || d.pending(ref) != 5 {
			d.Errorf("%d attempts within the hour, %d pending, want 5 at most and 5", n, d.pending(ref))
		}
		for range 3 * 80 / 6 {
			flow(11*time.Minute, 6*time.Hour) // the webhook may pause
		}
		for i, e := range bad {
			want := webhook.Delivered
			if i < 3 {
				want = webhook.Failed
			}
			if got := d.delivery(ref, e); got.Status != want {
				d.Errorf("event %d of the resource is %s, want %s", i, got.Status, want)
			}
		}
	})
}

// TestTooLate: what has waited for others for twenty days is given up, and the log says so.
func TestTooLate(t *testing.T) {
	delivers(t, func(d *delivering) {
		ref := d.hook(partner, url, func(_ context.Context, id string, _ int) (outbound.Result, error) {
			for _, a := range d.arrivals(url) {
				if a.id == id && a.subject == "se-bad" {
					return outbound.Result{Status: 500}, nil
				}
			}
			return ok, nil
		})
		bad := d.happen(merchant, "se-bad", 15)
		for range 24 * 4 {
			d.happen(merchant, "se-good", 1)
			time.Sleep(6 * time.Hour)
		}
		if first, last := d.delivery(ref, bad[0]), d.delivery(ref, bad[14]); len(first.Attempts) != webhook.MaxAttempts || last.Status != webhook.Failed || len(last.Attempts) != 1 ||
			last.Attempts[0].Failure != "the event was not sent in time" {
			d.Errorf("the first delivery is %+v, the last one %+v; want ten attempts, and one that says why there was none", first, last)
		}
		if d.pending(ref) != 0 {
			d.Errorf("%d events are pending", d.pending(ref))
		}
	})
}

// TestDisabledTooLong: what waits for a webhook that is disabled is given up after twenty days,
// before it expires, and the log says so; what is younger waits until the webhook is enabled. A
// webhook that is deleted has no log.
func TestDisabledTooLong(t *testing.T) {
	for _, tc := range []struct {
		name    string
		after   time.Duration // since the first events
		deleted bool
		status  webhook.Status // of those
		pending int
	}{
		{"deleted", 22 * 24 * time.Hour, true, "", 5},
		{"for nineteen days", 19 * 24 * time.Hour, false, webhook.Retrying, 5},
		{"for twenty days", 20*24*time.Hour + 2*time.Minute, false, webhook.Failed, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			delivers(t, func(d *delivering) {
				ref := d.hook(partner, url, answers(outbound.Result{Status: 500}, 0))
				old := d.happen(merchant, "se-1", 3) // the first is tried, the others wait for it
				time.Sleep(time.Hour)
				young := d.happen(merchant, "se-1", 2)
				time.Sleep(time.Minute)
				off := false
				if err := d.service.Change(d.Context(), ref, webhook.Input{Enabled: &off}, nil, effects.Effects{}); err != nil {
					d.Fatal(err)
				}
				if tc.deleted {
					if err := d.service.Delete(d.Context(), ref, nil, effects.Effects{}); err != nil {
						d.Fatal(err)
					}
				}
				time.Sleep(tc.after - time.Hour - time.Minute)
				if n := d.pending(ref); n != tc.pending {
					d.Errorf("%d events are pending, want %d", n, tc.pending)
				}
				if tc.deleted {
					return
				}
				if got := d.delivery(ref, old[0]); got.Status != tc.status || len(got.Attempts) < 2 {
					d.Errorf("the delivery that was tried is %+v, want it %s", got, tc.status)
				}
				if tc.status != webhook.Failed {
					return
				}
				for _, e := range old {
					got := d.delivery(ref, e)
					if n := len(got.Attempts); got.Status != webhook.Failed || got.EventType != e.Type || got.FinishedAt.IsZero() || n == 0 || got.Attempts[n-1].Failure != "the event was not sent in time" {
						d.Errorf("delivery = %+v, want one that says why it failed", got)
					}
				}
				d.answerWith(url, answers(ok, 0))
				on := true
				if err := d.service.Change(d.Context(), ref, webhook.Input{Enabled: &on}, nil, effects.Effects{}); err != nil {
					d.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				d.arrived(url, young)
			})
		})
	}
}

// TestMoreThanARunLooksAt: those behind the first 10,000 have their turn, also if all of them
// are given up: nothing expires without a trace.
func TestMoreThanARunLooksAt(t *testing.T) {
	for _, disabled := range []bool{false, true} {
		t.Run(fmt.Sprint("disabled ", disabled), func(t *testing.T) {
			delivers(t, func(d *delivering) {
				ref := d.hook(partner, url, answers(ok, 0))
				var pending []webhook.Pending
				at := time.Now().UTC().Truncate(time.Millisecond).Add(-webhook.SentWithin - time.Hour)
				for i := range 10_020 {
					pending = append(pending, webhook.Pending{Ref: ref, EventID: fmt.Sprintf("se-%021d", i), EventOwner: merchant.AccountID, Subject: fmt.Sprint("se-", i%40), RequestedAt: at})
				}
				if err := d.store.AddPending(d.Context(), pending); err != nil {
					d.Fatal(err)
				}
				on := !disabled
				if err := d.service.Change(d.Context(), ref, webhook.Input{Enabled: &on}, nil, effects.Effects{}); err != nil {
					d.Fatal(err)
				}
				if err := d.store.MarkDue(d.Context(), []webhook.Ref{ref}, time.Now()); err != nil {
					d.Fatal(err)
				}
				time.Sleep(10 * time.Minute)
				failed, _, err := d.store.ListDeliveries(d.Context(), ref, webhook.DeliveryListing{Statuses: []webhook.Status{webhook.Failed}, Limit: 1})
				if n := d.pending(ref); n != 0 || err != nil || len(failed) != 1 || failed[0].EventID != pending[len(pending)-1].EventID {
					d.Errorf("%d events are pending, want 0; the last one is %+v, %v, want it failed", n, failed, err)
				}
			})
		})
	}
}

// TestRefusals: a receiver that refuses the events of 300 resources gets those of another
// one within a minute; one that fails with them, after the pause of the webhook.
func TestRefusals(t *testing.T) {
	for status, within := range map[int]time.Duration{http.StatusBadRequest: time.Minute, http.StatusInternalServerError: 11 * time.Minute} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			delivers(t, func(d *delivering) {
				taken := ""
				ref := d.hook(partner, url, func(_ context.Context, id string, _ int) (outbound.Result, error) {
					if id == taken {
						return ok, nil
					}
					return outbound.Result{Status: status}, nil
				})
				var bad []effects.Event
				for i := range 300 {
					bad = append(bad, d.written(merchant, fmt.Sprint("se-", i), 1)...)
				}
				d.dispatch(bad)
				time.Sleep(2 * time.Minute)
				asked := map[string]bool{}
				for _, a := range d.arrivals(url) {
					asked[a.id] = true
				}
				if all := len(asked) == len(bad); all != (status == http.StatusBadRequest) {
					d.Errorf("%d of %d events were tried within two minutes, want all of them only if they are refused", len(asked), len(bad))
				}
				time.Sleep(8 * time.Hour)
				good := d.written(merchant, "se-good", 1)
				taken = good[0].ID
				d.dispatch(good)
				time.Sleep(within)
				if got := d.delivery(ref, good[0]); got.Status != webhook.Delivered {
					d.Errorf("the event that the receiver takes is %q after %v", got.Status, within)
				}
			})
		})
	}
}

// TestAnotherReceiver: a webhook that was enabled, or has another URL, has no past: it gets
// what is pending at once, and its first failure does not disable it.
func TestAnotherReceiver(t *testing.T) {
	yes, no := true, false
	for _, tc := range []struct {
		name    string
		changes []webhook.Input
	}{
		{"disabled and enabled", []webhook.Input{{Enabled: &no}, {Enabled: &yes}}},
		{"another URL", []webhook.Input{{URL: url + "&v=2"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			delivers(t, func(d *delivering) {
				fails := answers(outbound.Result{Status: 500}, 0)
				ref := d.hook(partner, url, fails)
				d.answerWith(url+"&v=2", fails)
				for range 119 {
					d.happen(merchant, "se-1", 1)
					time.Sleep(time.Hour)
				}
				for _, in := range tc.changes {
					if err := d.service.Change(d.Context(), ref, in, nil, effects.Effects{}); err != nil {
						d.Fatal(err)
					}
				}
				before := len(d.arrivals(url)) + len(d.arrivals(url+"&v=2"))
				time.Sleep(time.Minute + time.Second)
				if len(d.arrivals(url))+len(d.arrivals(url+"&v=2")) == before {
					d.Error("no request within a minute, want one: no pause lasts")
				}
				time.Sleep(24 * time.Hour)
				if w, err := d.service.Get(d.Context(), ref); err != nil || !w.DisabledAt.IsZero() {
					d.Errorf("a day later the webhook is %+v, %v, want enabled", w, err)
				}
			})
		})
	}
}

// TestGoneMeanwhile: what a receiver answers for a URL that the webhook has no more does not
// disable it, and the event goes to the new one.
func TestGoneMeanwhile(t *testing.T) {
	const other = "https://other.example.com/hook"
	delivers(t, func(d *delivering) {
		ref := d.hook(partner, url, answers(outbound.Result{Status: http.StatusGone}, 10*time.Second))
		d.answerWith(other, answers(ok, 0))
		e := d.happen(merchant, "se-1", 2)
		time.Sleep(time.Second)
		if err := d.service.Change(d.Context(), ref, webhook.Input{URL: other}, nil, effects.Effects{}); err != nil {
			d.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if w, err := d.service.Get(d.Context(), ref); err != nil || !w.DisabledAt.IsZero() {
			d.Errorf("the webhook is %+v, %v, want enabled", w, err)
		}
		d.arrived(other, e)
	})
}

// TestChangesWithinARun: a run goes by a change about a second after it.
func TestChangesWithinARun(t *testing.T) {
	no := false
	for _, tc := range []struct {
		name   string
		change func(d *delivering, ref webhook.Ref) error
	}{
		{"deleted", func(d *delivering, ref webhook.Ref) error {
			return d.service.Delete(d.Context(), ref, nil, effects.Effects{})
		}},
		{"disabled", func(d *delivering, ref webhook.Ref) error {
			return d.service.Change(d.Context(), ref, webhook.Input{Enabled: &no}, nil, effects.Effects{})
		}},
		{"another URL", func(d *delivering, ref webhook.Ref) error {
			return d.service.Change(d.Context(), ref, webhook.Input{URL: "https://other.example.com"}, nil, effects.Effects{})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			delivers(t, func(d *delivering) {
				ref := d.hook(partner, url, answers(ok, 300*time.Millisecond))
				d.answerWith("https://other.example.com", answers(ok, 0))
				d.happen(merchant, "se-1", 60)
				time.Sleep(2 * time.Second)
				if err := tc.change(d, ref); err != nil {
					d.Fatal(err)
				}
				changed := time.Now()
				time.Sleep(2 * time.Minute)
				got := d.arrivals(url)
				if last := got[len(got)-1].at.Sub(changed); last > 1200*time.Millisecond {
					d.Errorf("the old settings were used %v after the change", last)
				}
			})
		})
	}
}

// TestOrderOfWrites: a run that reads while a batch is being written sends none of a resource
// before those that come first.
func TestOrderOfWrites(t *testing.T) {
	delivers(t, func(d *delivering) {
		d.hook(partner, url, answers(ok, 100*time.Millisecond))
		var calls atomic.Int32
		var slow atomic.Bool
		d.store.Table.Trouble = func(op string, _ any) dynamotest.Trouble {
			if op == "BatchWriteItem" && slow.Load() && calls.Add(1)%3 == 1 {
				time.Sleep(5 * time.Second)
			}
			return dynamotest.Trouble{}
		}
		events := d.written(merchant, "se-1", 80)
		slow.Store(true)
		var writing sync.WaitGroup
		writing.Go(func() { d.dispatch(events) })
		for range 20 {
			time.Sleep(500 * time.Millisecond)
			d.happen(merchant, "se-2", 1)
		}
		writing.Wait()
		slow.Store(false)
		time.Sleep(2 * time.Minute)
		d.inOrder(url, map[string][]effects.Event{"se-1": events})
	})
}

// TestInFlight: a webhook gets eight requests at a time, and a resource one.
func TestInFlight(t *testing.T) {
	for name, tc := range map[string]struct{ resources, most int }{"many resources": {100, 8}, "one resource": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			delivers(t, func(d *delivering) {
				ref := d.hook(partner, url, answers(ok, time.Second))
				bySubject := map[string][]effects.Event{}
				var all []effects.Event
				for i := range 100 {
					subject := fmt.Sprint("se-", i%tc.resources)
					e := d.written(merchant, subject, 1)
					bySubject[subject] = append(bySubject[subject], e...)
					all = append(all, e...)
				}
				d.dispatch(all)
				time.Sleep(3 * time.Minute)
				if most, _, _ := d.counts(url, ref); most != tc.most || d.pending(ref) != 0 {
					d.Errorf("%d requests at a time, %d pending, want %d and 0", most, d.pending(ref), tc.most)
				}
				d.inOrder(url, bySubject)
			})
		})
	}
}

// TestOneRun: whatever messages there are, an event is sent once.
func TestOneRun(t *testing.T) {
	delivers(t, func(d *delivering) {
		ref := d.hook(partner, url, answers(ok, 500*time.Millisecond))
		events := d.written(merchant, "se-1", 30)
		for range 5 {
			d.dispatch(events) // the stream repeats its batch
			if err := d.Send(d.Context(), slices.Repeat([]webhook.Ref{ref}, 20), 0); err != nil {
				d.Fatal(err)
			}
			time.Sleep(7 * time.Second)
		}
		time.Sleep(time.Minute)
		d.dispatch(events)
		time.Sleep(time.Minute)
		if got := d.arrivals(url); len(got) != 30 || d.pending(ref) != 0 {
			d.Errorf("%d requests, %d pending, want 30 and 0", len(got), d.pending(ref))
		}
		d.arrived(url, events)
	})
}

// TestLostMessages: what a message was lost for is delivered by the schedule a minute later.
func TestLostMessages(t *testing.T) {
	delivers(t, func(d *delivering) {
		d.hook(partner, url, answers(ok, 0))
		d.lose.Store(true)
		events := d.happen(merchant, "se-1", 3)
		d.lose.Store(false)
		time.Sleep(time.Minute + time.Second)
		d.arrived(url, events)
	})
}

// TestNoMessagesMultiply: however many events come while one waits, the queue has one
// message for the time when it is tried again.
func TestNoMessagesMultiply(t *testing.T) {
	delivers(t, func(d *delivering) {
		var poison string
		ref := d.hook(partner, url, func(_ context.Context, id string, _ int) (outbound.Result, error) {
			if id == poison {
				return outbound.Result{Status: 500}, nil
			}
			return ok, nil
		})
		bad := d.written(merchant, "se-bad", 1)
		poison = bad[0].ID
		d.dispatch(bad)
		const n = 500
		for range n {
			d.happen(merchant, "se-good", 1)
			time.Sleep(time.Second)
		}
		_, queued, runs := d.counts(url, ref)
		if queued > n+20 || runs > n+20 {
			d.Errorf("%d messages and %d runs for %d events", queued, runs, n)
		}
		time.Sleep(20 * time.Hour)
		if _, _, after := d.counts(url, ref); after-runs > 20*6+20 {
			d.Errorf("%d runs in 20 hours, want one every ten minutes at most", after-runs)
		}
	})
}

// TestChangesUnderWay: webhooks are deleted, disabled and changed while something is pending.
func TestChangesUnderWay(t *testing.T) {
	const other = "https://other.example.com/hook"
	enabled, disabled := true, false
	for _, tc := range []struct {
		name   string
		change func(d *delivering, ref webhook.Ref)
		check  func(d *delivering, ref webhook.Ref, events []effects.Event)
	}{
		{"deleted", func(d *delivering, ref webhook.Ref) {
			if err := d.service.Delete(d.Context(), ref, nil, effects.Effects{}); err != nil {
				d.Fatal(err)
			}
		}, func(d *delivering, _ webhook.Ref, _ []effects.Event) {
			if n := len(d.arrivals(url)); n != 1 {
				d.Errorf("%d requests, want 1", n)
			}
		}},
		{"disabled, and enabled a day later", func(d *delivering, ref webhook.Ref) {
			if err := d.service.Change(d.Context(), ref, webhook.Input{Enabled: &disabled}, nil, effects.Effects{}); err != nil {
				d.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
			if n := len(d.arrivals(url)); n != 1 {
				d.Errorf("%d requests while it was disabled, want 1", n)
			}
			d.answerWith(url, answers(ok, 0))
			if err := d.service.Change(d.Context(), ref, webhook.Input{Enabled: &enabled}, nil, effects.Effects{}); err != nil {
				d.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
		}, func(d *delivering, _ webhook.Ref, events []effects.Event) { d.arrived(url, events) }},
		{"another URL", func(d *delivering, ref webhook.Ref) {
			d.answerWith(other, answers(ok, 0))
			if err := d.service.Change(d.Context(), ref, webhook.Input{URL: other}, nil, effects.Effects{}); err != nil {
				d.Fatal(err)
			}
		}, func(d *delivering, _ webhook.Ref, events []effects.Event) {
			d.arrived(other, events)
			if n := len(d.arrivals(url)); n != 1 {
				d.Errorf("%d requests to the old URL, want 1", n)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			delivers(t, func(d *delivering) {
				ref := d.hook(partner, url, answers(outbound.Result{Status: 500}, 0))
				events := d.happen(merchant, "se-1", 3)
				time.Sleep(time.Second)
				tc.change(d, ref)
				time.Sleep(10 * time.Minute)
				tc.check(d, ref, events)
			})
		})
	}
}

func (d *delivering) answerWith(url string, answer receiver) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.receivers[url] = answer
}

// TestSignatures: each attempt is signed with the secrets of its own time, whatever the
// receiver's clock shows; a secret that was rotated twice in an hour is signed with three.
func TestSignatures(t *testing.T) {
	delivers(t, func(d *delivering) {
		ref, first := d.hookWith(partner, webhook.Input{URL: url, Events: []effects.EventType{webhook.AllEvents}, Headers: &[]webhook.Header{
			{Key: "X-Shop", Value: secret.New("blue")},
		}}, answers(outbound.Result{Status: 500}, 0))
		secrets, start := []secret.Text{first}, time.Now()
		d.happen(merchant, "se-1", 1)
		time.Sleep(20 * time.Minute)
		for range 2 {
			c, err := d.service.RotateSecret(d.Context(), ref, nil)
			if err != nil {
				d.Fatal(err)
			}
			secrets = append(secrets, c.Secret)
			time.Sleep(20 * time.Minute)
		}
		time.Sleep(30 * time.Hour)
		const grace = webhook.SecretGrace
		seen := map[int]int{}
		for _, a := range d.arrivals(url) {
			if a.header.Get("webhook-timestamp") != strconv.FormatInt(a.at.Unix(), 10) || a.header.Get("webhook-id") != a.id || a.header.Get("X-Shop") != "blue" {
				d.Errorf("at %v: the header is %v", a.at, a.header)
			}
			valid := secrets
			switch age := a.at.Sub(start); {
			case age < 20*time.Minute:
				valid = secrets[:1]
			case age < 40*time.Minute:
				valid = secrets[:2]
			case age >= 40*time.Minute+grace:
				valid = secrets[2:]
			case age >= 20*time.Minute+grace:
				valid = secrets[1:]
			}
			n := len(strings.Fields(a.header.Get("webhook-signature")))
			seen[n]++
			if n != len(valid) {
				d.Errorf("after %v: %d signatures, want %d", a.at.Sub(start), n, len(valid))
			}
			for _, s := range valid {
				d.verified(a, s)
			}
		}
		if seen[1] == 0 || seen[2] == 0 || seen[3] == 0 {
			d.Errorf("requests by their number of signatures: %v, want some with 1, 2 and 3", seen)
		}
	})
}

// TestUnreadableEvent: an event that is gone or cannot be read is given up, and the next one
// of its resource is sent.
func TestUnreadableEvent(t *testing.T) {
	delivers(t, func(d *delivering) {
		ref := d.hook(partner, url, answers(ok, 0))
		events := d.written(merchant, "se-1", 2)
		gone := events[0]
		gone.ID = effects.EventIDsFrom(gone.At.Add(-time.Hour)) + "000000000000"
		d.dispatch(append([]effects.Event{gone}, events...))
		time.Sleep(time.Minute)
		d.arrived(url, events)
		if got := d.delivery(ref, gone); got.Status != webhook.Failed || len(got.Attempts) != 1 || got.Attempts[0].Failure != "the event cannot be read" {
			d.Errorf("delivery = %+v, want a failed one that says why", got)
		}
	})
}

// TestReplayIsSent: a replay sends again what was delivered, from its first attempt; a repeated
// record of the stream does not undo it.
func TestReplayIsSent(t *testing.T) {
	delivers(t, func(d *delivering) {
		ref := d.hook(partner, url, answers(ok, 0))
		events := d.happen(merchant, "se-1", 2)
		time.Sleep(time.Minute)
		if err := d.service.Replay(d.Context(), ref, events[0].ID, effects.Effects{}); err != nil {
			d.Fatal(err)
		}
		d.dispatch(events)
		time.Sleep(2 * time.Minute)
		d.arrived(url, []effects.Event{events[0], events[1], events[0]})
		if got := d.delivery(ref, events[0]); got.Status != webhook.Delivered || len(got.Attempts) != 1 || got.RequestedAt.Equal(events[0].At) {
			d.Errorf("delivery = %+v, want one attempt of the replay", got)
		}
	})
}

// TestAnswers: the log shows what the receiver has answered, without secrets.
func TestAnswers(t *testing.T) {
	delivers(t, func(d *delivering) {
		var echo string
		ref, key := d.hookWith(partner, webhook.Input{URL: url, Events: []effects.EventType{webhook.AllEvents}, Headers: &[]webhook.Header{
			{Key: "Authorization", Value: secret.New("Bearer hunter2-hunter2")}, {Key: "X-Short", Value: secret.New("a")},
		}}, func(context.Context, string, int) (outbound.Result, error) {
			return outbound.Result{Status: 200, Answer: []byte(echo)}, nil
		})
		bare := strings.TrimPrefix(key.Reveal(), "whsec_")
		for _, tc := range []struct{ name, answer, want string }{
			{"our secret", "key " + key.Reveal() + "!", "key REDACTED!"},
			{"our secret's Base64", bare + " " + bare, "REDACTED REDACTED"},
			{"a header's value", "got Bearer hunter2-hunter2", "got REDACTED"},
			{"a part of a header's value", "no hunter2-hunter2 here", "no REDACTED here"},
			{"the secret at the end of what is kept", strings.Repeat(". ", 1023) + bare, strings.Repeat(". ", 1023) + "RE"},
			{"an API key", "cl_live_0123456789abcdefghij is wrong", "REDACTED is wrong"},
			{"a UUID", "id=6b0c2b54-9f8a-4ce0-8f0e-0d6a3b1c2d3e", "REDACTED"},
			{"control characters", "a\x00b\x1b[31mc\r\n\td", "a b [31mc \n d"},
			{"bytes that are no text", "a\xff\xfeb", "a\uFFFDb"},
			{"a long text", strings.Repeat("é", 2000), strings.Repeat("é", 1024)},
			{"words and numbers", "A short answer of 12345678901234567890 letters and internationalisations", "A short answer of 12345678901234567890 letters and internationalisations"},
			{"nothing", "", ""},
		} {
			echo = tc.answer
			e := d.happen(merchant, "se-1", 1)[0]
			time.Sleep(time.Minute)
			if got := d.delivery(ref, e).Answer; got != tc.want {
				d.Errorf("%s: the log shows %.80q, want %.80q", tc.name, got, tc.want)
			}
		}
	})
}

// TestTenancy: a partner's webhook hears all its accounts, an account's its own, and nobody
// hears another partner's. A test is for its webhook alone, what the audit log has for none.
func TestTenancy(t *testing.T) {
	delivers(t, func(d *delivering) {
		owners := map[string]webhook.Owner{
			"https://p5.example.com": partner, "https://p6.example.com": {PartnerID: 6},
			"https://a71.example.com": merchant, "https://a72.example.com": {PartnerID: 5, AccountID: 72}, "https://a81.example.com": {PartnerID: 6, AccountID: 81},
		}
		refs := map[string]webhook.Ref{}
		for url, o := range owners {
			refs[url] = d.hook(o, url, answers(ok, 0))
		}
		all := slices.Concat(d.written(merchant, "se-1", 2), d.written(webhook.Owner{PartnerID: 5, AccountID: 72}, "se-1", 2), d.written(webhook.Owner{PartnerID: 6, AccountID: 81}, "se-1", 2))
		audit := d.written(partner, "partner", 1)
		audit[0].Type = effects.PartnerKeyCreated
		test := d.written(partner, webhook.Subject(refs["https://p5.example.com"].ID), 1)
		test[0].Type = effects.WebhookTest
		d.dispatch(slices.Concat(all, audit, test))
		time.Sleep(time.Minute)
		for url, o := range owners {
			want := map[string]bool{}
			for _, e := range all {
				want[e.ID] = e.PartnerID == o.PartnerID && (o.AccountID == 0 || e.AccountID == o.AccountID)
			}
			want[test[0].ID] = url == "https://p5.example.com"
			for _, e := range slices.Concat(all, audit, test) {
				got := slices.ContainsFunc(d.arrivals(url), func(a arrival) bool { return a.id == e.ID })
				if got != want[e.ID] {
					d.Errorf("%s got %s of %d/%d: %t, want %t", url, e.Type, e.PartnerID, e.AccountID, got, want[e.ID])
				}
			}
		}
	})
}

// failing fails calls of the store.
type failing struct {
	webhook.Runs
	fail func(call string) error
}

// LoadPending fails on demand.
func (f failing) LoadPending(ctx context.Context, p webhook.Pending, now time.Time) (webhook.Loaded, error) {
	if err := f.fail("load"); err != nil {
		return webhook.Loaded{}, err
	}
	return f.Runs.LoadPending(ctx, p, now)
}

// SaveDelivery fails on demand.
func (f failing) SaveDelivery(ctx context.Context, d webhook.Delivery, pending ...webhook.Pending) error {
	if err := f.fail("save"); err != nil {
		return err
	}
	return f.Runs.SaveDelivery(ctx, d, pending...)
}

// EndRun fails on demand.
func (f failing) EndRun(ctx context.Context, run *webhook.Run, end webhook.End, now time.Time) (bool, error) {
	if err := f.fail("end"); err != nil {
		return false, err
	}
	return f.Runs.EndRun(ctx, run, end, now)
}

// TestOwnFaults: whatever call of the table fails, or panics, everything is delivered a few
// minutes later, in order.
func TestOwnFaults(t *testing.T) {
	down := errors.New("down")
	for _, call := range []string{"load", "save", "end"} {
		for name, fault := range map[string]func() error{"an error": func() error { return down }, "a panic": func() error { panic("broken") }} {
			if call == "end" && name == "a panic" {
				continue // ends the invocation, as a crash does
			}
			t.Run(call+" "+name, func(t *testing.T) {
				delivers(t, func(d *delivering) {
					until := time.Now().Add(3 * time.Minute)
					d.deliverer.Store = failing{d.store, func(c string) error {
						if c == call && time.Now().Before(until) {
							return fault()
						}
						return nil
					}}
					ref := d.hook(partner, url, answers(ok, 0))
					events := d.happen(merchant, "se-1", 5)
					time.Sleep(3 * time.Minute)
					if n := len(d.faults()); n == 0 || n > 5 {
						d.Errorf("%d failures in three minutes, want one a minute", n)
					}
					time.Sleep(3 * time.Minute)
					if d.pending(ref) != 0 {
						d.Errorf("%d events are pending", d.pending(ref))
					}
					d.inOrder(url, map[string][]effects.Event{"se-1": events})
				})
			})
		}
	}
}
