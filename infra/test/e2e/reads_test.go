package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"carrierlink/shared/auspost/simulator"
)

func read(t *testing.T, m merchant, carrierID, query string, header ...[2]string) answer {
	t.Helper()
	return api.call(t, request{method: http.MethodGet, path: readPath(carrierID) + query, key: m.Key, header: header})
}

func TestReadBadRequests(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	c := link(t, m, "australia_post", ausPostNumber("00"))
	tests := []struct {
		name, id, query string
		problems        []problem
	}{
		{"id without prefix", "4821097365120984", "", []problem{identifier("carrier_id")}},
		{"id of the prefix alone", "se-", "", []problem{identifier("carrier_id")}},
		{"id in capitals", "SE-1", "", []problem{identifier("carrier_id")}},
		{"id with capitals", "se-A", "", []problem{identifier("carrier_id")}},
		{"id of 26 characters", "se-12345678901234567890123", "", []problem{identifier("carrier_id")}},
		{"id with a dot", "%2e", "", []problem{identifier("carrier_id")}},
		{"id that climbs", "%2e%2e", "", []problem{identifier("carrier_id")}},
		{"id with a slash", "se-1%2F2", "", []problem{identifier("carrier_id")}},
		{"id with a blank", "se-1%20", "", []problem{identifier("carrier_id")}},
		{"id escaped twice", "se-%2531", "", []problem{identifier("carrier_id")}},
		{"id with #", "se-1%23SNAPSHOT", "", []problem{identifier("carrier_id")}},
		{"id with NUL", "se-1%00", "", []problem{identifier("carrier_id")}},
		{"id not UTF-8", "se-%ff", "", []problem{identifier("carrier_id")}},
		{"id in other digits", "se-%D9%A1", "", []problem{identifier("carrier_id")}},
		{"max_age negative", c.CarrierID, "?max_age=-1", []problem{invalid("max_age")}},
		{"max_age word", c.CarrierID, "?max_age=abc", []problem{invalid("max_age")}},
		{"max_age empty", c.CarrierID, "?max_age=", []problem{invalid("max_age")}},
		{"max_age fraction", c.CarrierID, "?max_age=1.5", []problem{invalid("max_age")}},
		{"max_age too large", c.CarrierID, "?max_age=2592001", []problem{invalid("max_age")}},
		{"max_age far too large", c.CarrierID, "?max_age=99999999999999999999", []problem{invalid("max_age")}},
		{"refresh word", c.CarrierID, "?refresh=yes", []problem{invalid("refresh")}},
		{"refresh in capitals", c.CarrierID, "?refresh=TRUE", []problem{invalid("refresh")}},
		{"refresh empty", c.CarrierID, "?refresh=", []problem{invalid("refresh")}},
		{"everything at once", "x", "?refresh=1&max_age=x", []problem{identifier("carrier_id"), invalid("max_age"), invalid("refresh")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			read(t, m, test.id, test.query).expect(t, http.StatusBadRequest, test.problems...)
		})
	}
	t.Run("an id that nobody has", func(t *testing.T) {
		t.Parallel()
		for _, id := range []string{"se-1", "se-1234567890123456", "se-abc"} {
			read(t, m, id, "").expect(t, http.StatusNotFound, notFound)
		}
	})
	t.Run("a body, unknown parameters", func(t *testing.T) {
		t.Parallel()
		api.call(t, request{
			method: http.MethodGet, path: readPath(c.CarrierID) + "?x=1&max_age=900", key: m.Key, body: "null", loose: true,
		}).expect(t, http.StatusOK)
	})
}

// staleAs is the answer to a read with a snapshot, by the simulator's case.
var staleAs = map[string][2]string{
	"01": {"unknown_account", "account_not_found"},
	"02": {"unknown_account", "account_not_found"},
	"03": {"contract_not_valid", "contract_not_valid"},
	"07": {"contract_not_set_up", "contract_not_set_up"},
	"40": {"unauthorized", "credentials_refused"},
	"43": {"forbidden", "key_not_entitled"},
	"49": {"rate_limited", "carrier_rate_limited"},
	"50": {"unavailable", "carrier_unavailable"},
	"51": {"unavailable", "carrier_unavailable"},
	"54": {"timeout", "carrier_timeout"},
	"55": {"unreadable", "carrier_unreadable"},
	"56": {"unknown_account", "account_not_found"},
	"60": {"unauthorized", "credentials_refused"},
	"61": {"unavailable", "carrier_unavailable"},
	"70": {"number_mismatch", "number_mismatch"},
}

// Reads every case of the simulator after a good link. For a case that cannot be linked, the test changes the number of the
// connection in the table.
func TestEveryStoryAtRead(t *testing.T) {
	t.Parallel()
	direct := map[string]bool{"10": true, "11": true, "12": true, "13": true, "14": true, "60": true, "61": true}
	for _, p := range environments() {
		m := troubled(t, p)
		for _, story := range []string{
			"00", "01", "02", "03", "07", "10", "11", "12", "13", "14", "40", "41", "43", "49", "50", "51", "54", "55", "56", "60", "61", "70",
		} {
			t.Run(p.Environment+" "+story, func(t *testing.T) {
				t.Parallel()
				number := ausPostNumber("05")
				if direct[story] {
					number = number[:8] + story
				}
				c := link(t, m, "australia_post", number)
				if !direct[story] {
					setItem(t, accountPK(m.ID), "CARRIER#"+c.CarrierID, item{"account_number": txt(number[:8] + story)})
				}
				before := decode[carrierAccount](t, read(t, m, c.CarrierID, ""))
				if before.Source != "stored" || before.Stale || before.StaleReason != nil || before.Diagnosis != nil {
					t.Fatalf("before: %+v, want the stored account", before)
				}
				a := read(t, m, c.CarrierID, "?refresh=true")
				a.expect(t, http.StatusOK)
				got := decode[carrierAccount](t, a)
				want, stale := staleAs[story]
				if story == "49" && p.Environment == "sandbox" {
					stale = false // in the sandbox it is the second check, which is good in this case
				}
				if !stale {
					if got.Source != "live" || got.Stale || got.StaleReason != nil || got.Diagnosis != nil {
						t.Errorf("answer = %s, want a live one", a.body)
					}
					if gone := len(before.Summary.Products) - len(got.Summary.Products); gone != map[bool]int{true: 1}[story == "13"] {
						t.Errorf("%d products are gone", gone)
					}
					return
				}
				if got.Source != "stored" || !got.Stale || got.StaleReason == nil || *got.StaleReason != want[0] || got.Diagnosis == nil || got.Diagnosis.Category != want[1] {
					t.Errorf("answer = %s, want a stale one: %v", a.body, want)
				}
				if !bytes.Equal(got.Account, before.Account) {
					t.Error("the stored account has changed")
				}
			})
		}
	}
}

// The effect of a refusal or an outage on the connection.
func TestReadsChangeTheStatus(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		m := troubled(t, p)
		status := func(t *testing.T, id string) string {
			t.Helper()
			return str(getItem(t, accountPK(m.ID), "CARRIER#"+id), "status")
		}
		t.Run(p.Environment+" an outage degrades, and passes", func(t *testing.T) {
			t.Parallel()
			c := link(t, m, "australia_post", ausPostNumber("61"))
			for range 3 {
				read(t, m, c.CarrierID, "?max_age=0").expect(t, http.StatusOK)
				if got := status(t, c.CarrierID); got != "degraded" {
					t.Fatalf("status = %s, want degraded", got)
				}
			}
			a := read(t, m, c.CarrierID, "?max_age=0")
			if got := decode[carrierAccount](t, a); got.Source != "live" || status(t, c.CarrierID) != "active" {
				t.Errorf("the fourth answer = %s, status %s, want a live one and active", a.body, status(t, c.CarrierID))
			}
		})
		t.Run(p.Environment+" one refusal marks nothing, two do", func(t *testing.T) {
			t.Parallel()
			// StarTrack's, because TestBreaker has left a StarTrack connection with which a refusal can be compared.
			c := link(t, m, "startrack", starTrackNumber("60"))
			read(t, m, c.CarrierID, "?refresh=true").expect(t, http.StatusOK)
			if got := status(t, c.CarrierID); got != "active" {
				t.Errorf("status after one refusal = %s, want active", got)
			}
			for start := time.Now(); status(t, c.CarrierID) != "action_required"; {
				if time.Since(start) > checkWithin {
					t.Fatalf("status = %s, want action_required", status(t, c.CarrierID))
				}
				read(t, m, c.CarrierID, "?refresh=true").expect(t, http.StatusOK)
			}
			a := read(t, m, c.CarrierID, "")
			a.expect(t, http.StatusOK)
		})
	}
}

// The main job, for both brands and environments: a stored and a live read return the account as the carrier sent it.
func TestMainJob(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		for _, brand := range []struct{ carrier, code, number string }{
			{"australia_post", "australia_post", ausPostNumber("00")}, {"startrack", "startrack", starTrackNumber("00")}, {"star_track", "startrack", starTrackNumber("00")},
		} {
			t.Run(p.Environment+" "+brand.carrier, func(t *testing.T) {
				t.Parallel()
				m := newMerchant(t, p)
				c := link(t, m, brand.carrier, brand.number)
				if c.Status != "active" || c.CarrierName != brand.code || c.AccountNumber != brand.number {
					t.Errorf("connection = %+v", c)
				}
				sent := asSent(t, brand.number)
				calls := post.count(brand.number)

				stored := read(t, m, c.CarrierID, "")
				stored.expect(t, http.StatusOK)
				got := decode[carrierAccount](t, stored)
				if got.Source != "stored" || got.Stale || got.CarrierCode != brand.code || got.CarrierID != c.CarrierID || got.Summary.AccountNumber != brand.number ||
					got.AgeSeconds > 60 || len(got.Summary.Products) == 0 {
					t.Errorf("answer = %s", stored.body)
				}
				if !bytes.Equal(got.Account, sent) {
					t.Errorf("account =\n%s\nwant\n%s", got.Account, sent)
				}
				if p.Environment == "production" && post.count(brand.number) != calls {
					t.Error("the carrier was asked for a stored account")
				}

				tag := stored.header.Get("ETag")
				for _, list := range []string{tag, tag[2:], `"x", ` + tag, "*"} {
					a := read(t, m, c.CarrierID, "", [2]string{"If-None-Match", list})
					a.expect(t, http.StatusNotModified)
					if a.header.Get("ETag") != tag {
						t.Errorf("ETag = %s, want %s", a.header.Get("ETag"), tag)
					}
				}
				read(t, m, c.CarrierID, "", [2]string{"If-None-Match", `W/"0", "1"`}).expect(t, http.StatusOK)

				for _, query := range []string{"?refresh=true", "?max_age=0", "?refresh=true&max_age=2592000"} {
					a := read(t, m, c.CarrierID, query)
					a.expect(t, http.StatusOK)
					live := decode[carrierAccount](t, a)
					if live.Source != "live" || live.Stale || live.RefreshedAt <= got.RefreshedAt || !bytes.Equal(live.Account, sent) {
						t.Errorf("answer%s = %s, want a newer one, live", query, a.body)
					}
					if a.header.Get("ETag") != tag {
						t.Errorf("ETag of the same account = %s, want %s", a.header.Get("ETag"), tag)
					}
				}
				if asked := post.count(brand.number) - calls; p.Environment == "production" && asked != 3 || p.Environment == "sandbox" && asked != 0 {
					t.Errorf("the carrier was asked %d times", asked)
				}
				// A recent copy is enough, and a live answer may be a 304 too.
				if a := read(t, m, c.CarrierID, "?max_age=3600&refresh=false"); decode[carrierAccount](t, a).Source != "stored" {
					t.Errorf("answer = %s, want the stored one", a.body)
				}
				read(t, m, c.CarrierID, "?refresh=true", [2]string{"If-None-Match", tag}).expect(t, http.StatusNotModified)
			})
		}
	}
	t.Run("a copy that is too old", func(t *testing.T) {
		t.Parallel()
		m := newMerchant(t, production)
		c := link(t, m, "australia_post", ausPostNumber("00"))
		old := time.Now().Add(-16 * time.Minute)
		setItem(t, accountPK(m.ID), "CARRIER#"+c.CarrierID, item{"verified_at": num(old.UnixMilli())})
		a := read(t, m, c.CarrierID, "?max_age=1200")
		if got := decode[carrierAccount](t, a); got.Source != "stored" || got.AgeSeconds < 960 {
			t.Errorf("answer = %s, want the stored one of 16 minutes ago", a.body)
		}
		if got := decode[carrierAccount](t, read(t, m, c.CarrierID, "")); got.Source != "live" {
			t.Errorf("source = %s, want live", got.Source)
		}
	})
}

// asSent returns the simulator's account without white space between tokens.
func asSent(t *testing.T, number string) []byte {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/shipping/v1/accounts/"+number, nil)
	r.SetBasicAuth("key", "secret")
	r.Header.Set("Account-Number", number)
	recorder := httptest.NewRecorder()
	simulator.NewHandler(time.Now).ServeHTTP(recorder, r)
	var out bytes.Buffer
	if err := json.Compact(&out, recorder.Body.Bytes()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Only one reader at a time asks the carrier: the others get the copy, or a 409 without one.
func TestReadsAtOnce(t *testing.T) {
	t.Parallel()
	m := troubled(t, production)
	for name, pending := range map[string]bool{"with a copy": false, "without one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story := map[bool]string{false: "00", true: "50"}[pending]
			number := ausPostNumber(story)
			c := link(t, m, "australia_post", number, "verify", "later")
			defer unlink(t, m, c.CarrierID)
			arrived, release := make(chan struct{}, 8), make(chan struct{})
			post.play(number, func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				<-release
				answering(http.StatusOK, "application/json", odd(number))(w, r)
			})
			var first answer
			var group sync.WaitGroup
			group.Go(func() { first = read(t, m, c.CarrierID, "?refresh=true") })
			select {
			case <-arrived:
			case <-time.After(time.Minute): // a busy machine
				t.Error("the carrier was not asked")
			}
			second := read(t, m, c.CarrierID, "?refresh=true")
			close(release)
			group.Wait()
			first.expect(t, http.StatusOK)
			if got := decode[carrierAccount](t, first); got.Source != "live" {
				t.Errorf("the first answer = %s, want a live one", first.body)
			}
			if pending {
				second.expect(t, http.StatusConflict, problem{"business_rules", "invalid_status", "", ""})
				if second.header.Get("Retry-After") == "" {
					t.Error("Retry-After is absent")
				}
				return
			}
			second.expect(t, http.StatusOK)
			if got := decode[carrierAccount](t, second); !got.Stale || got.StaleReason == nil || *got.StaleReason != "refresh_in_progress" || got.Diagnosis != nil {
				t.Errorf("the second answer = %s, want the copy", second.body)
			}
		})
	}
}
