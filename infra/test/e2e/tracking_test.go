package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	gen "carrierlink/infra/test/client"
)

// track asks for tracking numbers; of is the part of the query that names the connection.
func track(t *testing.T, m merchant, of string, numbers ...string) answer {
	t.Helper()
	query := url.Values{"tracking_number": numbers}.Encode()
	return api.call(t, request{method: http.MethodGet, path: "/v1/tracking?" + of + "&" + query, key: m.Key})
}

func byID(id string) string { return "carrier_id=" + id }

// parcels makes tracking numbers whose length only Australia Post uses.
func parcels(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("ZZ%014d", numbers.Add(1))
	}
	return all
}

// tracker is a merchant with a connection whose calls are counted.
type tracker struct {
	merchant
	id, key string
}

func newTracker(t *testing.T, m merchant, carrier, number string) tracker {
	t.Helper()
	key, secret := newCredentials()
	return tracker{m, link(t, m, carrier, number, "api_key", key, "api_secret", secret).CarrierID, key}
}

func (tr tracker) calls() int { return post.count(tracked(tr.key)) }

// trackingResult is the result of one of several numbers.
type trackingResult struct {
	gen.Tracking

	Error *errorEntry `json:"error"`
}

func results(t *testing.T, a answer) []trackingResult {
	t.Helper()
	a.expect(t, http.StatusOK)
	return decode[struct {
		Results []trackingResult `json:"results"`
	}](t, a).Results
}

func TestTrackBadQueries(t *testing.T) {
	t.Parallel()
	tr := newTracker(t, newMerchant(t, production), "australia_post", ausPostNumber("00"))
	id := byID(tr.id)
	number := func(p problem) []problem { return []problem{p} }
	for name, test := range map[string]struct {
		of       string
		numbers  []string
		problems []problem
	}{
		"nothing":             {"", nil, []problem{required("carrier_id"), required("tracking_number")}},
		"no carrier":          {"", parcels(1), []problem{required("carrier_id")}},
		"two carriers":        {id + "&carrier_code=australia_post", parcels(1), []problem{invalid("carrier_code")}},
		"carrier_id twice":    {id + "&" + id, parcels(1), []problem{invalid("carrier_id")}},
		"another carrier":     {"carrier_code=dhl", parcels(1), []problem{{"validation", "carrier_not_supported", "carrier_code", ""}}},
		"no number":           {id, nil, number(required("tracking_number"))},
		"eleven numbers":      {id, parcels(11), number(invalid("tracking_number"))},
		"twenty-five numbers": {id, parcels(25), number(invalid("tracking_number"))},
		"an empty number":     {id, []string{""}, number(length("tracking_number"))},
		"51 characters":       {id, []string{strings.Repeat("1", 51)}, number(length("tracking_number"))},
		"a comma":             {id, []string{"ZZ0000000001,ZZ0000000002"}, number(invalid("tracking_number"))},
		"another query":       {id, []string{"ZZ0000000001&x=y"}, number(invalid("tracking_number"))},
		"other letters":       {id, []string{"ZZ00000000é1"}, number(invalid("tracking_number"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			track(t, tr.merchant, test.of, test.numbers...).expect(t, http.StatusBadRequest, test.problems...)
		})
	}
	t.Cleanup(func() {
		if n := tr.calls(); n > 0 {
			t.Errorf("the carrier was asked %d times", n)
		}
	})
}

func TestTrack(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		asked := func(t *testing.T, tr tracker, want int) {
			t.Helper()
			if p.Environment == "sandbox" {
				want = 0
			}
			if got := tr.calls(); got != want {
				t.Errorf("the carrier was asked %d times, want %d", got, want)
			}
		}
		m := newMerchant(t, p)
		t.Run(p.Environment+" one number", func(t *testing.T) {
			t.Parallel()
			tr := newTracker(t, m, "australia_post", ausPostNumber("00"))
			number := parcels(1)[0]
			// A live answer is no older than its request: on a busy machine that may be more than a second.
			since := func(at time.Time) int { return int(time.Since(at).Seconds()) }
			start := time.Now()
			a := track(t, m, byID(tr.id), strings.ToLower(number[:4])+" "+number[4:])
			a.expect(t, http.StatusOK)
			got := decode[gen.Tracking](t, a)
			if got.TrackingNumber != number || string(got.Source) != "live" || got.Stale || got.AgeSeconds > since(start) || got.ConnectionId != tr.id || string(got.CarrierCode) != "australia_post" ||
				string(got.StatusCode) != "DE" || got.ActualDeliveryDate == nil || len(got.Events) == 0 {
				t.Errorf("answer = %s", a.body)
			}
			again := decode[gen.Tracking](t, track(t, m, byID(tr.id), number))
			if string(again.Source) != "cached" || again.Stale || !cmp.Equal(got.Events, again.Events) {
				t.Errorf("the second answer = %+v, want the same one, cached", again)
			}
			asked(t, tr, 1)
			// A result older than two minutes: the carrier is asked again; if it cannot be, the answer has the age.
			pk := fmt.Sprintf("TRACKING#%d#%s", m.ID, tr.id)
			setItem(t, pk, number, item{"at": num(time.Now().Add(-time.Minute).UnixMilli())})
			if old := decode[gen.Tracking](t, track(t, m, byID(tr.id), number)); string(old.Source) != "cached" || old.Stale || old.AgeSeconds < 60 || old.AgeSeconds > 119 {
				t.Errorf("answer = %+v, want the one of a minute ago", old)
			}
			setItem(t, pk, number, item{"at": num(time.Now().Add(-3 * time.Minute).UnixMilli())})
			start = time.Now()
			if fresh := decode[gen.Tracking](t, track(t, m, byID(tr.id), number)); string(fresh.Source) != "live" || fresh.AgeSeconds > since(start) {
				t.Errorf("answer = %+v, want a live one", fresh)
			}
			asked(t, tr, 2)
			// An unknown number is a result too, and cached.
			for range 12 {
				track(t, m, byID(tr.id), "AB12").expect(t, http.StatusNotFound, problem{"security", "not_found", "tracking_number", ""})
			}
			asked(t, tr, 3)
		})
		t.Run(p.Environment+" ten numbers", func(t *testing.T) {
			t.Parallel()
			tr := newTracker(t, m, "australia_post", ausPostNumber("00"))
			all := parcels(10)
			for i, source := range []string{"live", "cached"} {
				for n, r := range results(t, track(t, m, byID(tr.id), all...)) {
					if r.TrackingNumber != all[n] || string(r.Source) != source || r.Error != nil {
						t.Errorf("answer %d, result %d = %+v", i, n, r)
					}
				}
			}
			asked(t, tr, 1)
		})
		t.Run(p.Environment+" of both brands, and unknown ones", func(t *testing.T) {
			t.Parallel()
			tr := newTracker(t, m, "startrack", starTrackNumber("00"))
			post, star := parcels(1)[0], "9ZZZ5000"+fmt.Sprintf("%04d", numbers.Add(1)%10_000)
			got := results(t, track(t, m, byID(tr.id), post, star, "AB12", post))
			if len(got) != 4 {
				t.Fatalf("results = %+v", got)
			}
			for i, want := range []string{post, star, "", post} {
				if want == "" {
					if e := got[i].Error; e == nil || e.ErrorCode != "not_found" || e.FieldName != "tracking_number" {
						t.Errorf("result %d = %+v, want an error", i, got[i])
					}
					continue
				}
				if r := got[i]; r.TrackingNumber != want || r.Error != nil || string(r.StatusCode) == "" || string(r.CarrierCode) != "startrack" {
					t.Errorf("result %d = %+v, want %s", i, r, want)
				}
			}
			asked(t, tr, 2) // a call for each brand
		})
		t.Run(p.Environment+" by carrier_code", func(t *testing.T) {
			t.Parallel()
			m := newMerchant(t, p)
			track(t, m, "carrier_code=australia_post", parcels(1)...).expect(t, http.StatusNotFound, notFound)
			dead := newTracker(t, m, "startrack", starTrackNumber("00"))
			setItem(t, accountPK(m.ID), "CARRIER#"+dead.id, item{"status": txt("action_required")})
			works, newer := newTracker(t, m, "startrack", starTrackNumber("00")), newTracker(t, m, "startrack", starTrackNumber("00"))
			for _, code := range []string{"startrack", "star_track"} {
				a := track(t, m, "carrier_code="+code, parcels(1)...)
				a.expect(t, http.StatusOK)
				if got := decode[gen.Tracking](t, a); got.ConnectionId != works.id || string(got.CarrierCode) != "startrack" {
					t.Errorf("answer = %s, want one of %s", a.body, works.id)
				}
			}
			asked(t, works, 2)
			asked(t, newer, 0)
			track(t, m, "carrier_code=australia_post", parcels(1)...).expect(t, http.StatusNotFound, notFound)
			// On the merchant's behalf.
			a := api.call(t, request{method: http.MethodGet, path: "/v1/tracking?" + byID(works.id) + "&tracking_number=" + parcels(1)[0], key: p.APIKey, header: behalf(m.ID)})
			a.expect(t, http.StatusOK)
		})
	}
}

// TestTrackShipments checks shipments of several articles in the sandbox, and
// their tracking pages.
func TestTrackShipments(t *testing.T) {
	t.Parallel()
	const post, star = "https://auspost.com.au/mypost/track/details/", "https://startrack.com.au/track/details/"
	for _, p := range environments() {
		m := newMerchant(t, p)
		for _, test := range []struct {
			carrier, account, number string
			status, detail, page     string
			articles                 []string
		}{
			{"australia_post", ausPostNumber("00"), "ABC5033470", "DE", "DELIVERED", post, []string{"ABC50334700100931006 DE", "ABC50334700200931004 DE"}},
			{"australia_post", ausPostNumber("00"), "ABC5033471", "IT", "DELIVERED_IN_PART", post, []string{"ABC50334710100931006 DE", "ABC50334710200931004 IT"}},
			{"australia_post", ausPostNumber("00"), "36ZZ45032272", "EX", "NOT_DELIVERED", post, []string{"36ZZ450322720100931006 DE", "36ZZ450322720200931004 EX"}},
			{"australia_post", ausPostNumber("00"), "36ZZ45032230", "DE", "DELIVERED", post, []string{"36ZZ45032230 DE"}},
			{"australia_post", ausPostNumber("00"), "9ZZZ50000001EXP00001", "IT", "IN_TRANSIT", star, []string{"9ZZZ50000001EXP00001 IT"}},
			{"startrack", starTrackNumber("00"), "9ZZZ50000070", "DE", "DELIVERED", star, []string{"9ZZZ50000070EXP00001 DE", "9ZZZ50000070EXP00002 DE"}},
			{"startrack", starTrackNumber("00"), "9ZZZ50000071", "IT", "DELIVERED_IN_PART", star, []string{"9ZZZ50000071EXP00001 DE", "9ZZZ50000071EXP00002 IT"}},
			{"startrack", starTrackNumber("00"), "9ZZZ50000072", "EX", "DELIVERED_IN_PART", star, []string{"9ZZZ50000072EXP00001 DE", "9ZZZ50000072EXP00002 EX"}},
		} {
			t.Run(p.Environment+" "+test.number, func(t *testing.T) {
				t.Parallel()
				tr := newTracker(t, m, test.carrier, test.account)
				for _, source := range []string{"live", "cached"} {
					a := track(t, m, byID(tr.id), test.number)
					a.expect(t, http.StatusOK)
					got := decode[gen.Tracking](t, a)
					var articles []string
					for _, one := range got.Articles {
						articles = append(articles, one.Number+" "+string(one.StatusCode))
					}
					if d := cmp.Diff(test.articles, articles); d != "" {
						t.Errorf("%s articles (-want +got):\n%s", source, d)
					}
					if string(got.Source) != source || string(got.StatusCode) != test.status || got.StatusDetailCode == nil || *got.StatusDetailCode != test.detail ||
						got.TrackingUrl != test.page+test.number || (got.ActualDeliveryDate != nil) != (test.status == "DE") || len(got.Events) == 0 || got.CarrierStatusCode == nil {
						t.Errorf("%s: %s", source, a.body)
					}
				}
			})
		}
	}
}

// Failures of the carrier's tracking.
func TestTrackFailures(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	for name, test := range map[string]struct {
		play http.HandlerFunc
		want refusal
	}{
		"401":     {answering(401, "application/json", `{"errors":[{"code":"API_001","name":"Unauthorized"}]}`), refused("verification_failure", "", "credentials_refused", 401, "API_001")},
		"503":     {answering(503, "text/html", "<html></html>"), outage(http.StatusBadGateway, "carrier_unavailable", 503)},
		"garbage": {answering(200, "application/json", `{"tracking_results":7}`), outage(http.StatusBadGateway, "carrier_unreadable", 200)},
		"429":     {answering(429, "application/json", `{"errors":[{"code":"API_002","name":"Too many requests"}]}`), refusals["49"]},
		"nothing": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, outage(http.StatusGatewayTimeout, "carrier_timeout", 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTracker(t, m, "australia_post", ausPostNumber("00"))
			number := parcels(1)[0]
			post.play(tracked(tr.key), test.play)
			test.want.expect(t, track(t, m, byID(tr.id), number))
			post.play(tracked(tr.key), nil)
			track(t, m, byID(tr.id), number).expect(t, http.StatusOK)
			post.play(tracked(tr.key), test.play)
			setItem(t, fmt.Sprintf("TRACKING#%d#%s", m.ID, tr.id), number, item{"at": num(time.Now().Add(-3 * time.Minute).UnixMilli())})
			a := track(t, m, byID(tr.id), number)
			a.expect(t, http.StatusOK)
			if got := decode[gen.Tracking](t, a); !got.Stale || string(got.Source) != "cached" || got.AgeSeconds < 180 {
				t.Errorf("answer = %s, want the old one, stale", a.body)
			}
			// Tracking does not change the connection.
			if got := decode[connectionBody](t, getCarrier(t, m, tr.id)); got.Status != "active" || got.ConsecutiveFailures != 0 {
				t.Errorf("connection = %+v", got)
			}
		})
	}
	t.Run("credentials that are gone", func(t *testing.T) {
		t.Parallel()
		tr := newTracker(t, m, "australia_post", ausPostNumber("00"))
		name, client := secretName(m, tr.id), secretsmanager.NewFromConfig(service.AWSConfig())
		if _, err := client.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &name}); err != nil {
			t.Fatal(err)
		}
		track(t, m, byID(tr.id), parcels(1)...).expect(t, http.StatusConflict, problem{"business_rules", "invalid_status", "", "credentials_missing"})
		if _, err := client.RestoreSecret(t.Context(), &secretsmanager.RestoreSecretInput{SecretId: &name}); err != nil {
			t.Fatal(err)
		}
		track(t, m, byID(tr.id), parcels(1)...).expect(t, http.StatusOK)
	})
}

// The carrier allows ten tracking calls a minute for each key, whichever connections use it.
func TestTrackAllowance(t *testing.T) {
	t.Parallel()
	m, other := newMerchant(t, production), newMerchant(t, otherProduction)
	own := newTracker(t, m, "australia_post", ausPostNumber("00"))
	const rounds = 3 // on a busy machine ten calls may take longer than the window
	var key string
	var one tracker
	var kept []string
	var refused []answer
	for round := 1; ; round++ {
		var secret string
		key, secret = uuid.NewString(), "x"+uuid.NewString()[:13]
		one = tracker{m, link(t, m, "australia_post", ausPostNumber("00"), "api_key", key, "api_secret", secret).CarrierID, key}
		two := tracker{m, link(t, m, "startrack", starTrackNumber("00"), "api_key", key, "api_secret", secret).CarrierID, key}
		three := tracker{other, link(t, other, "australia_post", ausPostNumber("00"), "api_key", key, "api_secret", secret).CarrierID, key}

		start := time.Now()
		kept = parcels(5)
		for _, n := range kept {
			track(t, m, byID(one.id), n).expect(t, http.StatusOK)
		}
		for _, n := range parcels(4) {
			track(t, m, byID(two.id), n).expect(t, http.StatusOK)
		}
		track(t, other, byID(three.id), parcels(1)...).expect(t, http.StatusOK)
		refused = nil
		for _, tr := range []tracker{one, two, three} {
			refused = append(refused, track(t, tr.merchant, byID(tr.id), parcels(1)...))
		}
		if time.Since(start) <= 55*time.Second {
			break
		}
		if round == rounds {
			t.Fatalf("the minute ended before the calls, %d times", rounds)
		}
	}
	for _, a := range refused {
		a.expect(t, http.StatusTooManyRequests, problem{"system", "rate_limit_exceeded", "", ""})
		if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 60 {
			t.Errorf("Retry-After = %q", a.header.Get("Retry-After"))
		}
	}
	// Among several numbers, those with a known result.
	setItem(t, fmt.Sprintf("TRACKING#%d#%s", m.ID, one.id), kept[0], item{"at": num(time.Now().Add(-3 * time.Minute).UnixMilli())})
	got := results(t, track(t, m, byID(one.id), kept[0], kept[1], parcels(1)[0]))
	if len(got) != 3 || !got[0].Stale || got[1].Stale || string(got[1].Source) != "cached" || got[2].Error == nil || got[2].Error.ErrorCode != "rate_limit_exceeded" {
		t.Errorf("results = %+v, want a stale one, a cached one and an error", got)
	}
	if n := post.count(tracked(key)); n != 10 {
		t.Errorf("the carrier was asked %d times, want 10", n)
	}
	track(t, m, byID(own.id), parcels(1)...).expect(t, http.StatusOK) // another key
}
