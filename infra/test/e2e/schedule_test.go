package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/stack"
	gen "carrierlink/infra/test/client"
)

// How long the deployed chain may take before a test gives up. The rule fires once a minute, for the first time about a
// minute after its creation. A message waits up to six seconds for its credential's turn. A check whose claim lost its
// answer waits for the end of its lease and the next pass. The rest is for a busy machine.
const (
	ruleWithin  = 4 * time.Minute
	checkWithin = 3 * time.Minute
)

// passed is the report of schedule-refresh.
type passed struct {
	Due     int `json:"due"`
	Sent    int `json:"sent"`
	Probes  int `json:"probes"`
	Backlog int `json:"backlog"`
}

// pass starts schedule-refresh, as its rule does once a minute.
func pass(t *testing.T) passed {
	t.Helper()
	text, err := service.Invoke(t.Context(), "schedule-refresh", map[string]any{})
	if err != nil {
		t.Fatalf("invoking schedule-refresh: %v", err)
	}
	var p passed
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatalf("schedule-refresh answered %s: %v", text, err)
	}
	return p
}

// scheduled is a connection that only the schedule checks.
type scheduled struct {
	merchant
	id, number string
}

func newScheduled(t *testing.T, m merchant, carrier, number string) scheduled {
	t.Helper()
	return scheduled{m, link(t, m, carrier, number, "refresh_policy", "daily").CarrierID, number}
}

func (s scheduled) checks(t *testing.T) []gen.HistoryEntry {
	t.Helper()
	return as(t, s.Key).checks(s.id)
}

func (s scheduled) status(t *testing.T) string {
	t.Helper()
	return decode[connectionBody](t, getCarrier(t, s.merchant, s.id)).Status
}

// check makes the next check early, and returns its history entry.
func (s scheduled) check(t *testing.T) gen.HistoryEntry {
	t.Helper()
	before := len(s.checks(t))
	refresh(t, s.merchant, s.id)
	pass(t)
	var checks []gen.HistoryEntry
	eventually(t, checkWithin, "there is no further check", func() bool {
		checks = s.checks(t)
		return len(checks) > before
	})
	return checks[0]
}

// fallDue makes the next scheduled check due now, because a check that a caller asks for has no vote.
func (s scheduled) fallDue(t *testing.T) {
	t.Helper()
	row := getItem(t, accountPK(s.ID), "CARRIER#"+s.id)
	_, rest, ok := strings.Cut(str(row, "due_key"), "#")
	if !ok {
		t.Fatalf("the connection has no time of its next check: %v", row)
	}
	now := time.Now().UnixMilli()
	setItem(t, accountPK(s.ID), "CARRIER#"+s.id, item{"next_refresh_at": num(now), "due_key": txt(fmt.Sprintf("%015d#%s", now, rest))})
}

// told summarizes a history entry.
func told(e gen.HistoryEntry) string {
	words := []string{string(e.Trigger), string(e.Outcome), string(e.Status)}
	for _, c := range e.Changes {
		words = append(words, string(c.Type))
	}
	return strings.Join(words, " ")
}

func toldAll(entries []gen.HistoryEntry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, told(e))
	}
	return all
}

// All connections to a carrier share its breaker, so this test runs before the parallel ones and leaves the breaker
// closed. It uses StarTrack's, which most other tests do not need.
func TestBreaker(t *testing.T) { //nolint:paralleltest // see above
	m := newMerchant(t, production)
	client := as(t, m.Key)
	if s := client.status("startrack"); string(s.Status) != "operational" || string(s.Breaker.State) != "closed" {
		t.Fatalf("startrack is %s before the test", client.last.body)
	}
	var all []scheduled
	for range 3 {
		all = append(all, newScheduled(t, newMerchant(t, production), "startrack", starTrackNumber("60")))
	}
	for _, s := range all {
		s.fallDue(t)
	}
	pass(t)
	eventually(t, checkWithin, "the breaker has not opened", func() bool {
		return string(client.status("startrack").Breaker.State) == "open"
	})
	pass(t)
	eventually(t, checkWithin, "the outage is not announced", func() bool {
		_, told := getItem(t, "HEALTH#startrack", "BREAKER")["outage_told"]
		return told
	})
	// From here on no pass writes the breaker. However long this takes, the probe is not due before the test wants it.
	setItem(t, "HEALTH#startrack", "BREAKER", item{"probe_at": num(time.Now().Add(time.Hour).UnixMilli())})
	s := client.status("startrack")
	if string(s.Status) != "failing" || s.Breaker.Failure == nil || string(*s.Breaker.Failure) != "unauthorized" || s.Breaker.Since == nil || s.Breaker.NextProbeAt == nil ||
		s.Checks < 3 || s.SuccessRate == nil || *s.SuccessRate > 0.5 {
		t.Errorf("startrack = %s", client.last.body)
	}
	outage := gen.OutageEventData{CarrierCode: "startrack", FriendlyName: "StarTrack", Failure: "unauthorized", BeganAt: *s.Breaker.Since}
	outagesHeard(t, m, outage)
	if s := client.status("australia_post"); string(s.Status) != "operational" {
		t.Errorf("australia_post is %s too", s.Status)
	}
	waitForEmptyQueue(t, checkWithin)

	// No connection is marked, and the carrier is not asked.
	one := all[0]
	calls := post.count(one.number)
	a := read(t, one.merchant, one.id, "?refresh=true")
	a.expect(t, http.StatusOK)
	if got := decode[carrierAccount](t, a); !got.Stale || got.StaleReason == nil || *got.StaleReason != "carrier_unavailable" || got.Diagnosis == nil || post.count(one.number) != calls {
		t.Errorf("answer = %s, want the copy, and the carrier not asked", a.body)
	}
	refresh(t, one.merchant, one.id)
	if p := pass(t); p.Sent != 0 {
		t.Errorf("pass = %+v, want nothing sent before the probe's time", p)
	}
	if v := verify(t, one.merchant, "startrack", one.id); v.status == http.StatusOK {
		if got := decode[gen.Verification](t, v); string(got.Check.Outcome) != "unauthorized" {
			t.Errorf("verify = %s", v.body)
		}
	} else {
		t.Errorf("verify = %d %s", v.status, v.body)
	}
	for _, s := range all {
		if got := s.status(t); got != "active" {
			t.Errorf("status = %s, want active, because the carrier refuses everyone", got)
		}
	}

	// One good probe closes it.
	for _, s := range all {
		post.play(s.number, healed)
		refresh(t, s.merchant, s.id)
	}
	setItem(t, "HEALTH#startrack", "BREAKER", item{"probe_at": num(time.Now().UnixMilli())})
	if p := pass(t); p.Probes > 1 || p.Sent != p.Probes { // the rule's own pass may have been first
		t.Errorf("pass = %+v, want one probe at most", p)
	}
	eventually(t, checkWithin, "the breaker has not closed", func() bool {
		return string(client.status("startrack").Breaker.State) == "closed"
	})
	s = client.status("startrack")
	if string(s.Status) != "operational" || s.Breaker.Failure != nil || s.Breaker.NextProbeAt != nil || s.Breaker.Since == nil {
		t.Errorf("startrack = %s", client.last.body)
	}
	pass(t)
	over := outage
	over.EndedAt = s.Breaker.Since
	outagesHeard(t, m, outage, over)
	for _, s := range all {
		eventually(t, checkWithin, "the last check was not good", func() bool { return string(s.checks(t)[0].Outcome) == "ok" })
		if got := s.status(t); got != "active" {
			t.Errorf("status = %s, want active", got)
		}
	}
}

// outagesHeard waits until each partner in production has heard of outages, of each that it began and, as another event,
// that it ended. Neither the sandbox nor the account of a merchant hears of them.
func outagesHeard(t *testing.T, m merchant, want ...gen.OutageEventData) {
	t.Helper()
	const query = "event_type=carrier_outage_began&event_type=carrier_outage_ended"
	for _, p := range []stack.Partner{production, otherProduction} {
		var heard []gen.Event
		eventually(t, checkWithin, "the partner has not heard of the outage", func() bool {
			heard = eventsOf(t, p.APIKey, query)
			return len(heard) >= len(want)
		})
		var got []gen.OutageEventData
		for _, e := range heard {
			data, err := e.Data.AsOutageEventData()
			if ended := string(e.Event) == "carrier_outage_ended"; err != nil || ended != (data.EndedAt != nil) || e.AccountId != nil || e.ExternalAccountId != nil ||
				e.ResourceUrl != service.APIURL+"/v1/carriers/status" {
				t.Errorf("event %+v, %v", e, err)
			}
			got = append(got, data)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s has heard of outages (-want +got):\n%s", p.Name, diff)
		}
		for i, e := range auditLog(t, p.APIKey, "actor=schedule&"+query) {
			if e.EntryId != heard[i].EventId || e.AccountId != nil || e.Subject != "carrier startrack" {
				t.Errorf("entry %+v of the audit log, want that of %s", e, heard[i].EventId)
			}
		}
	}
	for _, key := range []string{sandbox.APIKey, m.Key} {
		if heard := eventsOf(t, key, query); len(heard) > 0 {
			t.Errorf("%v are told to a sandbox, or an account", kinds(heard))
		}
	}
}

// healed answers for a number as the simulator does for a good one.
func healed(w http.ResponseWriter, r *http.Request) { become(w, r, "00") }

// become answers for a number as the simulator does for the number of a story, whose account number it replaces.
func become(w http.ResponseWriter, r *http.Request, story string) {
	number := r.Header.Get("Account-Number")
	other := number[:len(number)-2] + story
	recorder := httptest.NewRecorder()
	tell(recorder, r, story)
	answering(recorder.Code, "application/json", strings.ReplaceAll(recorder.Body.String(), other, number))(w, r)
}

// Tests the whole deployed chain: the rule, schedule-refresh, the queue, refresh-carrier-account. First the test only
// waits for it, then it makes checks due early.
func TestSchedule(t *testing.T) {
	t.Parallel()
	m := troubled(t, production)
	gone, down := newScheduled(t, m, "australia_post", ausPostNumber("13")), newScheduled(t, m, "australia_post", ausPostNumber("61"))
	// StarTrack's: TestBreaker has left a connection there that answers when somebody else is refused.
	dead := newScheduled(t, m, "startrack", starTrackNumber("60"))
	sandboxed := newScheduled(t, newMerchant(t, sandbox), "startrack", starTrackNumber("13"))
	paused := newScheduled(t, newMerchant(t, production), "australia_post", ausPostNumber("00"))

	runs := runsOfSchedule(t)
	for _, s := range []scheduled{gone, dead, down, sandboxed, paused} {
		refresh(t, s.merchant, s.id)
	}
	as(t, production.APIKey).disable(paused.ID)
	if !t.Run("the rule fires", func(t *testing.T) {
		eventually(t, ruleWithin, "the rule has not had the connections checked", func() bool {
			for _, s := range []scheduled{gone, dead, down, sandboxed} {
				if len(s.checks(t)) < 2 {
					return false
				}
			}
			return true
		})
		// No other test has started it: TestBreaker is over, and this test starts the passes.
		if got := runsOfSchedule(t); got <= runs {
			t.Errorf("schedule-refresh has run %d times, %d before: its rule has not fired", got, runs)
		}
		for want, s := range map[string]scheduled{
			"manual ok active product_removed": gone, "manual unauthorized active": dead, "manual unavailable degraded": down,
		} {
			if got := told(s.checks(t)[0]); got != want && (s != dead || !strings.HasPrefix(got, "schedule")) {
				t.Errorf("the newest check = %s, want %s", got, want)
			}
		}
		if got := told(sandboxed.checks(t)[0]); got != "manual ok active product_removed" {
			t.Errorf("in the sandbox the newest check = %s", got)
		}
		if got := post.count(paused.number); got != 1 {
			t.Errorf("the carrier was asked %d times for a connection of a disabled account, want once, at its link", got)
		}
	}) {
		return
	}
	t.Run("stories", func(t *testing.T) {
		t.Run("a product goes", func(t *testing.T) {
			t.Parallel()
			if got := told(gone.check(t)); got != "manual ok active" {
				t.Errorf("the third check = %s, want no change", got)
			}
			c := gone.checks(t)[1].Changes[0]
			if c.ProductId == nil || c.From == nil || c.To != nil {
				t.Errorf("change = %+v", c)
			}
			want := []string{"manual ok active", "manual ok active product_removed", "link ok active"}
			if diff := cmp.Diff(want, toldAll(gone.checks(t))); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
		})
		t.Run("a key dies", func(t *testing.T) {
			t.Parallel()
			eventually(t, checkWithin, "it is not action_required", func() bool {
				if dead.status(t) == "action_required" {
					return true
				}
				pass(t)
				return false
			})
			checks := dead.checks(t)
			// The number of refusals depends on when the carrier answers another account.
			told := slices.Compact(toldAll(checks))
			told = slices.DeleteFunc(told, func(text string) bool { return text == "schedule unauthorized active" })
			want := []string{"schedule unauthorized action_required", "manual unauthorized active", "link ok active"}
			if diff := cmp.Diff(want, told); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
			first, err := time.Parse(time.RFC3339, checks[1].At)
			second, err2 := time.Parse(time.RFC3339, checks[0].At)
			if err != nil || err2 != nil || second.Sub(first) < time.Second {
				t.Errorf("the refusals were at %s and %s, want a second between them", checks[1].At, checks[0].At)
			}
			row := decode[connectionBody](t, getCarrier(t, dead.merchant, dead.id))
			if row.StatusReason == nil || *row.StatusReason != "unauthorized" || row.NextRefreshAt == nil {
				t.Errorf("connection = %+v, want one with a time of its next check", row)
			}
			// New credentials bring it back.
			post.play(dead.number, healed)
			key, secret := newCredentials()
			a := change(t, dead.merchant, "startrack", dead.id, fields{"api_key": key, "api_secret": secret})
			a.expect(t, http.StatusOK)
			if got := decode[connectionBody](t, a); got.Status != "active" || got.NextRefreshAt == nil {
				t.Errorf("connection = %s", a.body)
			}
		})
		t.Run("an outage passes", func(t *testing.T) {
			t.Parallel()
			for len(down.checks(t)) < 5 {
				down.check(t)
			}
			var got []string // whether the rule or this test was first
			for _, text := range toldAll(down.checks(t)) {
				_, text, _ = strings.Cut(text, " ")
				got = append(got, text)
			}
			want := []string{"ok active", "unavailable degraded", "unavailable degraded", "unavailable degraded", "ok active"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
		})
		t.Run("what waits to be verified", func(t *testing.T) {
			t.Parallel()
			number := starTrackNumber("50")
			s := scheduled{m, link(t, m, "startrack", number, "verify", "later", "refresh_policy", "daily").CarrierID, number}
			post.play(number, func(w http.ResponseWriter, r *http.Request) { tell(w, r, "43") })
			if got := told(s.check(t)); got != "manual forbidden pending_verification" {
				t.Errorf("the first check after the link = %s, want an unconfirmed refusal", got)
			}
			eventually(t, checkWithin, "it is not action_required", func() bool {
				if s.status(t) == "action_required" {
					return true
				}
				pass(t)
				return false
			})
		})
		t.Run("a rollback ends", func(t *testing.T) {
			t.Parallel()
			s := newScheduled(t, newMerchant(t, production), "australia_post", ausPostNumber("00"))
			key, secret := newCredentials()
			change(t, s.merchant, "australia_post", s.id, fields{"api_key": key, "api_secret": secret}).expect(t, http.StatusOK)
			row, labels := rowOf(t, s.merchant, s.id), secretOf(t, s.merchant, s.id).Labels
			if previous := str(row, "previous_secret_version"); previous == "" || labels["AWSPREVIOUS"] != previous {
				t.Fatalf("the row's previous version is %q, the secret has the labels %v", previous, labels)
			}
			setItem(t, accountPK(s.ID), "CARRIER#"+s.id, item{"previous_until": num(time.Now().UnixMilli())})
			eventually(t, checkWithin, "no check has taken the previous version from the row", func() bool {
				if got := told(s.check(t)); !strings.HasSuffix(got, " ok active") { // the schedule may be first
					t.Errorf("the check = %s", got)
				}
				row = rowOf(t, s.merchant, s.id)
				return str(row, "previous_secret_version") == ""
			})
			labels = secretOf(t, s.merchant, s.id).Labels
			if previous := str(row, "previous_secret_version"); labels["AWSPREVIOUS"] != "" || labels["AWSCURRENT"] != str(row, "secret_version") {
				t.Errorf("the row's previous version is %q, the secret has the labels %v", previous, labels)
			}
			if due := str(row, "due_pk"); !strings.HasPrefix(due, "REFRESH#") {
				t.Errorf("the connection is under %q, want it on the schedule", due)
			}
		})
		t.Run("an enabled account again", func(t *testing.T) {
			t.Parallel()
			as(t, production.APIKey).enable(paused.ID)
			pass(t)
			eventually(t, checkWithin, "it was not checked", func() bool { return len(paused.checks(t)) == 2 })
		})
	})
	t.Run("queue", func(t *testing.T) {
		s := newScheduled(t, newMerchant(t, production), "australia_post", ausPostNumber("00"))
		message := fmt.Sprintf(`{"account_id":%d,"carrier_id":%q,"lane":"australia_post"}`, s.ID, s.id)
		t.Run("what is not due", func(t *testing.T) {
			sendMessage(t, message)
			waitForEmptyQueue(t, checkWithin)
			if got := post.count(s.number); got != 1 {
				t.Errorf("the carrier was asked %d times, want once, at the link", got)
			}
		})
		t.Run("twice and a half", func(t *testing.T) {
			refresh(t, s.merchant, s.id)
			for range 4 {
				sendMessage(t, message)
			}
			sendMessage(t, fmt.Sprintf(`{"account_id":%d,"carrier_id":%q,"lane":"australia_post"}`, s.ID, nobodyCarrier))
			eventually(t, checkWithin, "it was not checked", func() bool { return len(s.checks(t)) == 2 })
			waitForEmptyQueue(t, checkWithin)
			if got := post.count(s.number); got != 2 || len(s.checks(t)) != 2 {
				t.Errorf("the carrier was asked %d times, the history has %d checks, want 2", got, len(s.checks(t)))
			}
		})
		t.Run("messages", func(t *testing.T) { checkMessages(t, s.merchant) })
		t.Run("poison", poisonIsGivenUp)
	})
}

// runsOfSchedule counts the reports of schedule-refresh.
func runsOfSchedule(t *testing.T) int {
	t.Helper()
	lines, err := service.Logs(t.Context(), "schedule-refresh")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range lines {
		if strings.Contains(line, `"msg":"passes"`) {
			n++
		}
	}
	return n
}

// poisonIsGivenUp checks that invalid messages fail, come again and end in the dead-letter queue, and that a good message
// in the same batch does not.
func poisonIsGivenUp(t *testing.T) {
	waitForEmptyQueue(t, checkWithin)
	hide := 1
	if emulatorName() == stack.LocalStack {
		hide = 2
	}
	if err := hideFor(t.Context(), hide); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := hideFor(t.Context(), templateHides); err != nil {
			t.Error(err)
		}
	}()
	s := newScheduled(t, newMerchant(t, production), "australia_post", ausPostNumber("00"))
	refresh(t, s.merchant, s.id)
	bodies := []string{`not JSON`, `{"account_id":1,"carrier_id":"se-1","lane":"dhl"}`, `{"account_id":0,"carrier_id":"se-1","lane":"startrack"}`}
	poison.mu.Lock()
	poison.bodies = append(poison.bodies, bodies...)
	poison.mu.Unlock()
	for _, body := range bodies {
		sendMessage(t, body)
	}
	sendMessage(t, fmt.Sprintf(`{"account_id":%d,"carrier_id":%q,"lane":"australia_post"}`, s.ID, s.id))
	eventually(t, checkWithin, "the poison is not among the dead letters", func() bool {
		n, err := depth(t.Context(), service.RefreshDeadLetterQueueURL)
		if err != nil {
			t.Fatal(err)
		}
		return n >= len(bodies) // SQS delivers at least once
	})
	waitForEmptyQueue(t, checkWithin)
	if checks := s.checks(t); len(checks) != 2 || post.count(s.number) != 2 {
		t.Errorf("the good message's connection was checked %d times, its carrier asked %d times, want 2", len(checks), post.count(s.number))
	}
	letters, err := receiveAll(t.Context(), service.RefreshDeadLetterQueueURL)
	if err != nil {
		t.Fatal(err)
	}
	for _, letter := range letters {
		if got := letter.Attributes["ApproximateReceiveCount"]; got < "5" {
			t.Errorf("a dead letter was delivered %s times, want at least 5", got)
		}
		if _, err := queues().ChangeMessageVisibility(t.Context(), giveBack(service.RefreshDeadLetterQueueURL, letter)); err != nil {
			t.Error(err)
		}
	}
}
