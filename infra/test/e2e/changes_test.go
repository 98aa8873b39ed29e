package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	gen "carrierlink/infra/test/client"
)

func change(t *testing.T, m merchant, carrier, id string, body any, header ...[2]string) answer {
	t.Helper()
	return api.call(t, request{method: http.MethodPut, path: connectionPath(carrier, id), key: m.Key, body: body, header: header})
}

func rollback(t *testing.T, m merchant, carrier, id string) answer {
	t.Helper()
	return api.call(t, request{method: http.MethodPost, path: connectionPath(carrier, id) + "/rollback", key: m.Key})
}

func verify(t *testing.T, m merchant, carrier, id string) answer {
	t.Helper()
	return api.call(t, request{method: http.MethodPost, path: connectionPath(carrier, id) + "/verify", key: m.Key})
}

// refresh makes a connection due now.
func refresh(t *testing.T, m merchant, id string) connectionBody {
	t.Helper()
	a := api.call(t, request{method: http.MethodPost, path: carrierPath(id) + "/refresh", key: m.Key})
	a.expect(t, http.StatusAccepted)
	return decode[connectionBody](t, a)
}

func unlink(t *testing.T, m merchant, id string) {
	t.Helper()
	api.call(t, request{method: http.MethodDelete, path: carrierPath(id), key: m.Key}).expect(t, http.StatusNoContent)
}

func getCarrier(t *testing.T, m merchant, id string) answer {
	t.Helper()
	a := api.call(t, request{method: http.MethodGet, path: carrierPath(id), key: m.Key})
	a.expect(t, http.StatusOK)
	return a
}

// secretState is the state of a connection's secret in Secrets Manager.
type secretState struct {
	Exists, Scheduled bool
	Labels            map[string]string // the version with each label
	Current           string            // key and secret with the label AWSCURRENT; empty where they cannot be read
}

func secretName(m merchant, id string) string {
	return service.SecretPrefix + strconv.FormatInt(m.ID, 10) + "/" + id
}

func secretOf(t *testing.T, m merchant, id string) secretState {
	t.Helper()
	client := secretsmanager.NewFromConfig(service.AWSConfig())
	name := secretName(m, id)
	out, err := client.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		return secretState{}
	}
	s := secretState{Exists: true, Scheduled: out.DeletedDate != nil, Labels: map[string]string{}}
	for version, labels := range out.VersionIdsToStages {
		for _, label := range labels {
			s.Labels[label] = version
		}
	}
	if value, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name}); err == nil {
		var c struct {
			APIKey    string `json:"api_key"`
			APISecret string `json:"api_secret"`
		}
		if err := json.Unmarshal([]byte(aws.ToString(value.SecretString)), &c); err != nil {
			t.Fatal("the secret is not JSON")
		}
		s.Current = c.APIKey + " " + c.APISecret
	}
	return s
}

// secretsOf lists the names of an account's secrets.
func secretsOf(t *testing.T, m merchant) []string {
	t.Helper()
	names, err := secretNames(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, secretName(m, "")) })
}

// itemsOf reads all items of an account's partition.
func itemsOf(t *testing.T, m merchant) []item {
	t.Helper()
	out, err := table().Query(t.Context(), &dynamodb.QueryInput{
		TableName: &service.TableName, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": txt(accountPK(m.ID))},
	})
	if err != nil {
		t.Fatalf("listing the account's items: %v", err)
	}
	return out.Items
}

// rowOf reads the row of a connection.
func rowOf(t *testing.T, m merchant, id string) item {
	t.Helper()
	return getItem(t, accountPK(m.ID), "CARRIER#"+id)
}

var conflict = problem{"business_rules", "carrier_conflict", "account_number", ""}

func TestChangeBadFields(t *testing.T) {
	t.Parallel()
	c := newCaller(t, production)
	key, secret := newCredentials()
	before := getCarrier(t, c.merchant, c.carrier)
	for _, test := range []struct {
		name     string
		body     any
		problems []problem
	}{
		{"nothing", "{}", []problem{required("")}},
		{"nulls", fields{"nickname": nil, "api_key": nil}, []problem{required("")}},
		{"only allow_duplicate_account_number", fields{"allow_duplicate_account_number": true}, []problem{required("")}},
		{"api_key alone", fields{"api_key": key}, []problem{required("api_secret")}},
		{"api_secret alone", fields{"api_secret": secret}, []problem{required("api_key")}},
		{"nickname empty", fields{"nickname": ""}, []problem{length("nickname")}},
		{"nickname of 101 characters", fields{"nickname": wide(101)}, []problem{length("nickname")}},
		{"account_number of StarTrack", fields{"account_number": "01234500"}, []problem{preflight("account_number", "startrack_number")}},
		{"account_number without its zeros", fields{"account_number": "1234500"}, []problem{preflight("account_number", "lost_leading_zeros")}},
		{"key equal to secret", fields{"api_key": key, "api_secret": key}, []problem{preflight("api_secret", "key_equals_secret")}},
		{"refresh_policy unknown", fields{"refresh_policy": "weekly"}, []problem{invalid("refresh_policy")}},
		{"external_carrier_id empty", fields{"external_carrier_id": ""}, []problem{length("external_carrier_id")}},
		{"metadata value", fields{"metadata": fields{"a": true}}, []problem{invalid("metadata.a")}},
		{"what only a link knows", fields{"verify": "later"}, []problem{invalid("verify")}},
		{"read-only", fields{"status": "active"}, []problem{invalid("status")}},
		{"everything at once", fields{
			"zebra": 1, "metadata": 1, "external_carrier_id": "", "refresh_policy": "x", "allow_duplicate_account_number": "x", "api_key": key, "nickname": "",
		}, []problem{
			length("nickname"), required("api_secret"), invalid("allow_duplicate_account_number"), invalid("refresh_policy"), length("external_carrier_id"),
			invalid("metadata"), invalid("zebra"),
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			change(t, c.merchant, "australia_post", c.carrier, test.body).expect(t, http.StatusBadRequest, test.problems...)
		})
	}
	t.Run("under another carrier's name", func(t *testing.T) {
		for _, r := range connectionRequests("startrack", c.carrier) {
			r.key = c.Key
			api.call(t, r).expect(t, http.StatusNotFound, notFound)
		}
		for _, r := range connectionRequests("dhl", c.carrier) {
			r.key = c.Key
			api.call(t, r).expect(t, http.StatusBadRequest, problem{"validation", "carrier_not_supported", "carrier_name", ""})
		}
	})
	if after := getCarrier(t, c.merchant, c.carrier); string(after.body) != string(before.body) {
		t.Errorf("the connection after bad requests =\n%s\nwant\n%s", after.body, before.body)
	}
}

// connectionRequests are the requests about a connection whose path names the carrier.
func connectionRequests(carrier, id string) []request {
	return []request{
		{method: http.MethodPut, path: connectionPath(carrier, id), body: fields{"nickname": "x"}},
		{method: http.MethodPost, path: connectionPath(carrier, id) + "/rollback"},
		{method: http.MethodPost, path: connectionPath(carrier, id) + "/verify"},
		{method: http.MethodDelete, path: connectionPath(carrier, id)},
	}
}

// A change that the carrier refuses leaves the answers and every label of the secret as they were.
func TestRefusedChanges(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		m := newMerchant(t, p)
		number := ausPostNumber("00")
		c := link(t, m, "australia_post", number)
		shown, secret := getCarrier(t, m, c.CarrierID), secretOf(t, m, c.CarrierID)
		items := holdings(t, m)
		held := link(t, newMerchant(t, p), "australia_post", ausPostNumber("00")) // another account's number is free
		t.Run(p.Environment, func(t *testing.T) {
			for story, want := range refusals {
				if p.Environment == "sandbox" && differs("is slow") && story != "40" && story != "50" {
					continue
				}
				t.Run("number "+story, func(t *testing.T) {
					t.Parallel()
					want.expect(t, change(t, m, "australia_post", c.CarrierID, fields{"account_number": ausPostNumber(story), "nickname": "Never"}))
				})
			}
			t.Run("credentials", func(t *testing.T) {
				t.Parallel()
				key, secret := newCredentials()
				a := change(t, m, "australia_post", c.CarrierID, fields{"api_key": key, "api_secret": secret + "wrong", "nickname": "Never"})
				refusals["40"].expect(t, a)
			})
			t.Run("nothing to roll back to", func(t *testing.T) {
				t.Parallel()
				rollback(t, m, "australia_post", c.CarrierID).expect(t, http.StatusConflict, state)
			})
			t.Run("stale If-Match", func(t *testing.T) {
				t.Parallel()
				key, secret := newCredentials()
				for value, status := range ifMatch(`"x"`, shown.header.Get("ETag")) {
					for _, body := range []fields{{"nickname": "Never"}, {"api_key": key, "api_secret": secret}} {
						change(t, m, "australia_post", c.CarrierID, body, [2]string{"If-Match", value}).expect(t, status, changed)
					}
					for path, method := range map[string]string{
						connectionPath("australia_post", c.CarrierID):               http.MethodDelete,
						carrierPath(c.CarrierID):                                    http.MethodDelete,
						connectionPath("australia_post", c.CarrierID) + "/rollback": http.MethodPost,
						connectionPath("australia_post", c.CarrierID) + "/verify":   http.MethodPost,
						carrierPath(c.CarrierID) + "/refresh":                       http.MethodPost,
					} {
						api.call(t, request{method: method, path: path, key: m.Key, header: [][2]string{{"If-Match", value}}}).expect(t, status, changed)
					}
				}
			})
		})
		if after := getCarrier(t, m, c.CarrierID); string(after.body) != string(shown.body) || after.header.Get("ETag") != shown.header.Get("ETag") {
			t.Errorf("%s: the connection after refused changes =\n%s\nwant\n%s", p.Environment, after.body, shown.body)
		}
		if diff := cmp.Diff(secret, secretOf(t, m, c.CarrierID)); diff != "" {
			t.Errorf("%s: the secret was changed (its labels and versions, -before +after): %d bytes of differences", p.Environment, len(diff))
		}
		if diff := cmp.Diff(items, holdings(t, m)); diff != "" {
			t.Errorf("%s: what the account has (-before +after):\n%s", p.Environment, diff)
		}
		change(t, m, "australia_post", c.CarrierID, fields{"account_number": held.AccountNumber}).expect(t, http.StatusOK)
	}
	t.Run("a number that another connection holds", func(t *testing.T) {
		t.Parallel()
		m := newMerchant(t, production)
		one, two := link(t, m, "australia_post", ausPostNumber("00")), link(t, m, "australia_post", ausPostNumber("00"))
		a := change(t, m, "australia_post", one.CarrierID, fields{"account_number": two.AccountNumber})
		a.expect(t, http.StatusConflict, conflict)
		if got := a.errors()[0].ExistingCarrierID; got != two.CarrierID {
			t.Errorf("existing_carrier_id = %q, want %q", got, two.CarrierID)
		}
		a = change(t, m, "australia_post", one.CarrierID, fields{"account_number": two.AccountNumber, "allow_duplicate_account_number": "true"})
		a.expect(t, http.StatusOK)
		if got := decode[connectionBody](t, a); got.AccountNumber != two.AccountNumber || got.CarrierID != one.CarrierID {
			t.Errorf("connection = %s", a.body)
		}
	})
}

// Credentials are changed, rolled back and rolled forward again, with and without the number.
func TestChangeAndRollback(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		for _, brand := range []struct{ carrier, number, next string }{
			{"australia_post", ausPostNumber("00"), ausPostNumber("11")}, {"startrack", starTrackNumber("00"), starTrackNumber("12")},
		} {
			t.Run(p.Environment+" "+brand.carrier, func(t *testing.T) {
				t.Parallel()
				m := newMerchant(t, p)
				oldKey, oldSecret := newCredentials()
				c := link(t, m, brand.carrier, brand.number, "api_key", oldKey, "api_secret", oldSecret)
				if got := secretOf(t, m, c.CarrierID); got.Current != oldKey+" "+oldSecret || len(got.Labels) != 1 {
					t.Fatal("the secret of a new link holds other credentials, or more labels than one")
				}
				key, secret := newCredentials()
				api.secrets.add(secret)
				tag := getCarrier(t, m, c.CarrierID).header.Get("ETag")
				a := change(t, m, brand.carrier, c.CarrierID, fields{"api_key": " " + key, "api_secret": secret + "\n", "nickname": "Renamed"}, [2]string{"If-Match", tag})
				a.expect(t, http.StatusOK)
				got := decode[connectionBody](t, a)
				if got.CarrierID != c.CarrierID || got.Nickname != "Renamed" || *got.Credentials.APIKeyLastFour != key[len(key)-4:] || got.Credentials.PreviousAvailableUntil == nil ||
					got.Status != "active" || got.AccountNumber != brand.number || got.LastCheck.Trigger != "manual" || got.LastCheck.Outcome != "ok" {
					t.Errorf("connection = %s", a.body)
				}
				if leaked := api.secrets.in(string(a.body), false); leaked != "" {
					t.Errorf("the answer shows %s", leaked)
				}
				if shown := getCarrier(t, m, c.CarrierID); shown.header.Get("ETag") != a.header.Get("ETag") || shown.header.Get("ETag") == tag {
					t.Errorf("ETag = %s, want that of the change, %s", shown.header.Get("ETag"), a.header.Get("ETag"))
				}
				holds := func(want string, pending bool) {
					t.Helper()
					s := secretOf(t, m, c.CarrierID)
					if s.Current != want || s.Labels["AWSPREVIOUS"] == "" || (s.Labels["AWSPENDING"] != "") != pending {
						t.Error("the secret's current version holds other credentials, or its labels are wrong")
					}
					if row := rowOf(t, m, c.CarrierID); str(row, "secret_version") != s.Labels["AWSCURRENT"] || str(row, "work") != "" {
						t.Error("the row does not name the current version, or work is still going on")
					}
				}
				holds(key+" "+secret, false)
				uses := func(want string) {
					t.Helper()
					live := decode[carrierAccount](t, read(t, m, c.CarrierID, "?refresh=true"))
					if live.Source != "live" || p.Environment == "production" && post.lastKey(live.Summary.AccountNumber) != want {
						t.Errorf("source = %s, or the carrier was asked with the wrong key", live.Source)
					}
				}
				uses(key)

				a = rollback(t, m, brand.carrier, c.CarrierID)
				a.expect(t, http.StatusOK)
				if got := decode[connectionBody](t, a); *got.Credentials.APIKeyLastFour != oldKey[len(oldKey)-4:] || got.Nickname != "Renamed" {
					t.Errorf("the connection after a rollback = %s", a.body)
				}
				holds(oldKey+" "+oldSecret, false)
				uses(oldKey)

				// Number and credentials change together, and a rollback restores both.
				a = change(t, m, brand.carrier, c.CarrierID, fields{"account_number": brand.next, "api_key": key, "api_secret": secret})
				a.expect(t, http.StatusOK)
				if got := decode[connectionBody](t, a); got.AccountNumber != brand.next {
					t.Errorf("connection = %s", a.body)
				}
				uses(key)
				a = rollback(t, m, brand.carrier, c.CarrierID)
				a.expect(t, http.StatusOK)
				if got := decode[connectionBody](t, a); got.AccountNumber != brand.number || *got.Credentials.APIKeyLastFour != oldKey[len(oldKey)-4:] {
					t.Errorf("connection = %s", a.body)
				}
				uses(oldKey)
				link(t, m, brand.carrier, brand.next) // it was given up

				var triggers []string
				for _, e := range as(t, m.Key).checks(c.CarrierID) {
					triggers = append(triggers, string(e.Trigger))
				}
				want := []string{"read", "manual", "read", "manual", "read", "manual", "read", "manual", "link"}
				if diff := cmp.Diff(want, triggers); diff != "" {
					t.Errorf("the history (-want +got):\n%s", diff)
				}
			})
		}
	}
	t.Run("the number alone", func(t *testing.T) {
		t.Parallel()
		m := newMerchant(t, production)
		key, secret := newCredentials()
		number, next := ausPostNumber("00"), ausPostNumber("00")
		c := link(t, m, "australia_post", number, "api_key", key, "api_secret", secret)
		before := secretOf(t, m, c.CarrierID)
		change(t, m, "australia_post", c.CarrierID, fields{"account_number": next[:4] + " " + next[4:]}).expect(t, http.StatusOK)
		if post.lastKey(next) != key {
			t.Error("the carrier was asked about the new number with another key")
		}
		if !cmp.Equal(before, secretOf(t, m, c.CarrierID)) {
			t.Error("the secret was changed")
		}
		if got := decode[carrierAccount](t, read(t, m, c.CarrierID, "")); got.Summary.AccountNumber != next || got.Source != "stored" {
			t.Errorf("account = %+v, want that of the new number", got)
		}
	})
	t.Run("what no carrier is asked about", func(t *testing.T) {
		t.Parallel()
		m := newMerchant(t, production)
		number := ausPostNumber("00")
		c := link(t, m, "australia_post", number)
		calls := post.count(number)
		for _, body := range []fields{
			{"nickname": "Depot"},
			{"refresh_policy": "off"},
			{"refresh_policy": "hourly", "external_carrier_id": "depot-1", "metadata": fields{"a": "b"}},
			{"account_number": number}, // that it has
		} {
			a := change(t, m, "australia_post", c.CarrierID, body)
			a.expect(t, http.StatusOK)
			if got := decode[connectionBody](t, a); body["refresh_policy"] == "off" && got.NextRefreshAt != nil || body["refresh_policy"] == "hourly" && got.NextRefreshAt == nil {
				t.Errorf("next_refresh_at = %s", a.body)
			}
		}
		got := decode[connectionBody](t, getCarrier(t, m, c.CarrierID))
		if got.Nickname != "Depot" || got.RefreshPolicy != "hourly" || *got.ExternalCarrierID != "depot-1" || got.Metadata["a"] != "b" || post.count(number) != calls {
			t.Errorf("connection = %+v, and the carrier was asked %d times", got, post.count(number)-calls)
		}
		next, err := time.Parse(time.RFC3339, *got.NextRefreshAt)
		if in := time.Until(next); err != nil || in < 50*time.Minute || in > 70*time.Minute {
			t.Errorf("next_refresh_at = %s, want about an hour from now", *got.NextRefreshAt)
		}
	})
	t.Run("a rollback that the carrier does not accept", func(t *testing.T) {
		t.Parallel()
		m := newMerchant(t, production)
		number := ausPostNumber("00")
		c := link(t, m, "australia_post", number)
		key, secret := newCredentials()
		change(t, m, "australia_post", c.CarrierID, fields{"api_key": key, "api_secret": secret}).expect(t, http.StatusOK)
		before, labels := getCarrier(t, m, c.CarrierID), secretOf(t, m, c.CarrierID)
		for _, story := range []string{"49", "50", "54", "40"} {
			post.play(number, func(w http.ResponseWriter, r *http.Request) { tell(w, r, story) })
			refusals[story].expect(t, rollback(t, m, "australia_post", c.CarrierID))
		}
		post.play(number, nil)
		if after := getCarrier(t, m, c.CarrierID); string(after.body) != string(before.body) || !cmp.Equal(labels, secretOf(t, m, c.CarrierID)) {
			t.Errorf("the connection after refused rollbacks = %s, want %s", after.body, before.body)
		}
	})
	t.Run("many at once", func(t *testing.T) {
		t.Parallel()
		m := newMerchant(t, production)
		c := link(t, m, "australia_post", ausPostNumber("00"))
		answers := make([]answer, 6)
		keys := make([]string, len(answers))
		var group sync.WaitGroup
		for i := range answers {
			key, secret := newCredentials()
			keys[i] = key + " " + secret
			group.Go(func() {
				answers[i] = change(t, m, "australia_post", c.CarrierID, fields{"api_key": key, "api_secret": secret})
			})
		}
		group.Wait()
		made := []string{}
		for i, a := range answers {
			switch a.status {
			case http.StatusOK:
				made = append(made, keys[i])
			case http.StatusConflict:
				if a.header.Get("Retry-After") == "" {
					t.Errorf("Retry-After is absent: %s", a.body)
				}
			default:
				t.Errorf("status = %d %s", a.status, a.body)
			}
		}
		s, row := secretOf(t, m, c.CarrierID), rowOf(t, m, c.CarrierID)
		if !slices.Contains(made, s.Current) || s.Labels["AWSPENDING"] != "" || str(row, "work") != "" || str(row, "secret_version") != s.Labels["AWSCURRENT"] {
			t.Errorf("%d of 6 were made, and row and secret do not agree", len(made))
		}
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		t.Run(p.Environment+" good", func(t *testing.T) {
			t.Parallel()
			m := newMerchant(t, p)
			c := link(t, m, "startrack", starTrackNumber("00"))
			a := verify(t, m, "star_track", c.CarrierID)
			a.expect(t, http.StatusOK)
			got := decode[gen.Verification](t, a)
			if got.CarrierId != c.CarrierID || string(got.Status) != "active" || string(got.Check.Outcome) != "ok" || string(got.Check.Trigger) != "manual" || got.Diagnosis != nil {
				t.Errorf("answer = %s", a.body)
			}
			again := verify(t, m, "startrack", c.CarrierID)
			again.expect(t, http.StatusTooManyRequests, problem{"system", "rate_limit_exceeded", "", ""})
			if seconds, err := strconv.Atoi(again.header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 30 {
				t.Errorf("Retry-After = %q", again.header.Get("Retry-After"))
			}
		})
		t.Run(p.Environment+" refused", func(t *testing.T) {
			t.Parallel()
			m := troubled(t, p)
			c := link(t, m, "australia_post", ausPostNumber("60"))
			a := verify(t, m, "australia_post", c.CarrierID)
			a.expect(t, http.StatusOK)
			got := decode[gen.Verification](t, a)
			if string(got.Status) != "active" || string(got.Check.Outcome) != "unauthorized" || got.Diagnosis == nil || string(got.Diagnosis.Category) != "credentials_refused" ||
				got.Connection.ConsecutiveFailures != 1 {
				t.Errorf("answer = %s, want a refusal that does not change the status", a.body)
			}
			checks := as(t, m.Key).checks(c.CarrierID)
			if len(checks) != 2 || string(checks[0].Outcome) != "unauthorized" || checks[0].CarrierCode == nil || *checks[0].CarrierCode != "API_001" {
				t.Errorf("history = %+v", checks)
			}
		})
	}
	t.Run("an outage is recorded", func(t *testing.T) {
		t.Parallel()
		m := troubled(t, production)
		for _, story := range []string{"49", "50", "51", "54", "55"} {
			t.Run(story, func(t *testing.T) {
				t.Parallel()
				number := ausPostNumber("00")
				c := link(t, m, "australia_post", number)
				post.play(number, func(w http.ResponseWriter, r *http.Request) { tell(w, r, story) })
				refusals[story].expect(t, verify(t, m, "australia_post", c.CarrierID))
				post.play(number, nil)
				checks := as(t, m.Key).checks(c.CarrierID)
				if len(checks) != 2 || string(checks[0].Outcome) != staleAs[story][0] || string(checks[0].Status) != "degraded" {
					t.Errorf("history = %+v, want %s and degraded", checks, staleAs[story][0])
				}
				verify(t, m, "australia_post", c.CarrierID).expect(t, http.StatusTooManyRequests, problem{"system", "rate_limit_exceeded", "", ""})
			})
		}
	})
	t.Run("while another check runs", func(t *testing.T) {
		t.Parallel()
		m := newMerchant(t, production)
		number := ausPostNumber("00")
		c := link(t, m, "australia_post", number)
		arrived, release := make(chan struct{}, 8), make(chan struct{})
		post.play(number, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-release
			post.simulator.ServeHTTP(w, r)
		})
		var first answer
		var group sync.WaitGroup
		group.Go(func() { first = verify(t, m, "australia_post", c.CarrierID) })
		select {
		case <-arrived:
		case <-time.After(time.Minute): // a busy machine
			t.Error("the carrier was not asked")
		}
		second := verify(t, m, "australia_post", c.CarrierID)
		close(release)
		group.Wait()
		first.expect(t, http.StatusOK)
		second.expect(t, http.StatusConflict, state)
		if second.header.Get("Retry-After") == "" {
			t.Error("Retry-After is absent")
		}
	})
}

// A request waits for another one that is working on the credentials.
func TestBusyConnection(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	c := link(t, m, "australia_post", ausPostNumber("00"))
	row := rowOf(t, m, c.CarrierID)
	setItem(t, accountPK(m.ID), "CARRIER#"+c.CarrierID, item{"work": txt("credentials"), "lease_until": num(time.Now().Add(time.Minute).UnixMilli())})
	key, secret := newCredentials()
	for name, r := range map[string]request{
		"credentials": {method: http.MethodPut, path: connectionPath("australia_post", c.CarrierID), body: fields{"api_key": key, "api_secret": secret}},
		"nickname":    {method: http.MethodPut, path: connectionPath("australia_post", c.CarrierID), body: fields{"nickname": "x"}},
		"rollback":    {method: http.MethodPost, path: connectionPath("australia_post", c.CarrierID) + "/rollback"},
		"verify":      {method: http.MethodPost, path: connectionPath("australia_post", c.CarrierID) + "/verify"},
		"refresh":     {method: http.MethodPost, path: carrierPath(c.CarrierID) + "/refresh"},
		"unlink":      {method: http.MethodDelete, path: connectionPath("australia_post", c.CarrierID)},
		"disconnect":  {method: http.MethodDelete, path: carrierPath(c.CarrierID)},
	} {
		r.key = m.Key
		a := api.call(t, r)
		if a.expect(t, http.StatusConflict, state); a.header.Get("Retry-After") == "" {
			t.Errorf("%s: Retry-After is absent", name)
		}
	}
	setItem(t, accountPK(m.ID), "CARRIER#"+c.CarrierID, item{"work": row["work"], "lease_until": row["lease_until"]})
	getCarrier(t, m, c.CarrierID)
}

// An unlinked connection is gone at once, except for its history.
func TestUnlink(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		for name, path := range map[string]func(id string) string{
			"by name": func(id string) string { return connectionPath("australia_post", id) }, "by id": carrierPath,
		} {
			t.Run(p.Environment+" "+name, func(t *testing.T) {
				t.Parallel()
				m := newMerchant(t, p)
				number := ausPostNumber("00")
				c, other := link(t, m, "australia_post", number), link(t, m, "australia_post", ausPostNumber("00"))
				read(t, m, c.CarrierID, "?refresh=true").expect(t, http.StatusOK)
				before := as(t, m.Key).checks(c.CarrierID)
				api.call(t, request{method: http.MethodDelete, path: path(c.CarrierID), key: m.Key, body: "null", loose: true}).expect(t, http.StatusNoContent)

				gone := append(connectionRequests("australia_post", c.CarrierID),
					request{method: http.MethodDelete, path: carrierPath(c.CarrierID)}, request{method: http.MethodGet, path: carrierPath(c.CarrierID)},
					request{method: http.MethodGet, path: readPath(c.CarrierID)}, request{method: http.MethodGet, path: readPath(c.CarrierID) + "?refresh=true"},
					request{method: http.MethodPost, path: carrierPath(c.CarrierID) + "/refresh"},
					request{method: http.MethodGet, path: "/v1/tracking?tracking_number=ZZ91000634011427&carrier_id=" + c.CarrierID})
				for _, r := range gone {
					r.key = m.Key
					a := api.call(t, r)
					a.expect(t, http.StatusNotFound, notFound)
					r.path = strings.ReplaceAll(r.path, c.CarrierID, nobodyCarrier)
					if diff := cmp.Diff(bare(api.call(t, r)), bare(a)); diff != "" {
						t.Errorf("%s %s: one that nobody has (-) and the unlinked one (+):\n%s", r.method, r.path, diff)
					}
				}
				if left := as(t, m.Key).carriers(); len(left) != 1 || left[0].CarrierId != other.CarrierID {
					t.Errorf("the list = %+v, want the other one", left)
				}
				if diff := cmp.Diff(before, as(t, m.Key).checks(c.CarrierID)); diff != "" || len(before) != 2 {
					t.Errorf("the history (-before +after):\n%s", diff)
				}
				if got := as(t, p.APIKey).account(m.ID).CarriersCount; got != 1 {
					t.Errorf("carriers_count = %d, want 1", got)
				}
				if s := secretOf(t, m, c.CarrierID); !s.Scheduled || s.Current != "" {
					t.Error("the secret is not scheduled for deletion")
				}
				if it := getItem(t, accountPK(m.ID), "SNAPSHOT#"+c.CarrierID); it != nil {
					t.Error("the carrier's account is still stored")
				}
				if again := link(t, m, "australia_post", number); again.CarrierID == c.CarrierID {
					t.Error("the new connection has the id of the old one")
				}
			})
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	number := ausPostNumber("13")
	c := link(t, m, "australia_post", number)
	for range 3 {
		read(t, m, c.CarrierID, "?refresh=true").expect(t, http.StatusOK)
	}
	for query, want := range map[string]problem{
		"?page=0": invalid("page"), "?page=x": invalid("page"), "?page_size=501": invalid("page_size"), "?page_size=0": invalid("page_size"), "?cursor=x": invalid("cursor"),
		"?page=10001&page_size=1": invalid("page"),
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			a := api.call(t, request{method: http.MethodGet, path: carrierPath(c.CarrierID) + "/history" + query, key: m.Key, loose: true})
			a.expect(t, http.StatusBadRequest, want)
		})
	}
	client := as(t, m.Key)
	all := client.checks(c.CarrierID)
	if len(all) != 4 || string(all[3].Trigger) != "link" || len(all[3].Changes) != 0 || len(all[2].Changes) != 1 || string(all[2].Changes[0].Type) != "product_removed" || len(all[1].Changes) != 0 {
		t.Fatalf("history = %s", client.last.body)
	}
	// Page numbers and cursors give the same list.
	var pages, walked []gen.HistoryEntry
	for page := 1; page <= 5; page++ {
		pages = append(pages, client.history(c.CarrierID, gen.GetCarrierHistoryParams{PageSize: new(1), Page: &page}).Checks...)
	}
	for path := carrierPath(c.CarrierID) + "/history?page_size=3"; path != ""; {
		a := api.call(t, request{method: http.MethodGet, path: path, key: m.Key})
		a.expect(t, http.StatusOK)
		page := decode[gen.CheckList](t, a)
		walked = append(walked, page.Checks...)
		if path = ""; page.Links.Next.Href != nil {
			path = *page.Links.Next.Href
		}
	}
	if diff := cmp.Diff(all, pages); diff != "" {
		t.Errorf("at once (-) and by pages (+):\n%s", diff)
	}
	if diff := cmp.Diff(all, walked); diff != "" {
		t.Errorf("at once (-) and by cursors (+):\n%s", diff)
	}
}

// Connections follow the state of their account.
func TestConnectionsFollowTheirAccount(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		t.Run(p.Environment, func(t *testing.T) {
			t.Parallel()
			m, partner := newMerchant(t, p), as(t, p.APIKey)
			ids := []string{
				link(t, m, "australia_post", ausPostNumber("00"), "refresh_policy", "daily").CarrierID, link(t, m, "startrack", starTrackNumber("00"), "refresh_policy", "daily").CarrierID,
			}
			gone := link(t, m, "australia_post", ausPostNumber("00")).CarrierID
			unlink(t, m, gone)
			before := map[string]secretState{}
			for _, id := range ids {
				before[id] = secretOf(t, m, id)
			}
			standing := func(want string, scheduled bool) {
				t.Helper()
				for _, id := range ids {
					row, s := rowOf(t, m, id), secretOf(t, m, id)
					if str(row, "standing") != want || str(row, "work") != "" || (str(row, "due_pk") != "") != (want == "active") || s.Scheduled != scheduled || !s.Exists {
						t.Errorf("the connection is %s %q, in the due index %q, its secret scheduled %t; want %s, %t",
							str(row, "standing"), str(row, "work"), str(row, "due_pk"), s.Scheduled, want, scheduled)
					}
				}
				if s := secretOf(t, m, gone); !s.Scheduled {
					t.Error("the secret of the unlinked connection is no longer scheduled for deletion")
				}
				if it := getItem(t, accountPK(m.ID), "ACCOUNT"); str(it, "due_pk") != "" {
					t.Error("the account still waits for its connections")
				}
			}
			standing("active", false)
			partner.disable(m.ID)
			standing("paused", false)
			api.call(t, request{method: http.MethodGet, path: carrierPath(ids[0]), key: m.Key}).expect(t, http.StatusForbidden, inactive)
			partner.enable(m.ID)
			standing("active", false)
			partner.disable(m.ID)
			partner.remove(m.ID, new(7))
			standing("deleted", true)
			partner.restore(m.ID)
			standing("paused", false) // as it was
			partner.enable(m.ID)
			standing("active", false)
			partner.remove(m.ID, nil)
			standing("deleted", true)
			partner.restore(m.ID)
			standing("active", false)
			for _, id := range ids {
				if !cmp.Equal(before[id], secretOf(t, m, id)) {
					t.Error("the restored secret has changed")
				}
				a := read(t, m, id, "?refresh=true")
				if got := decode[carrierAccount](t, a); got.Source != "live" {
					t.Errorf("answer = %s, want a live one", a.body)
				}
				if got := decode[connectionBody](t, getCarrier(t, m, id)); got.Status != "active" {
					t.Errorf("status = %s, want active", got.Status)
				}
			}
		})
	}
}

func TestRefreshIsAccepted(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	c := link(t, m, "australia_post", ausPostNumber("00"))
	before := time.Now().Truncate(time.Millisecond)
	got := refresh(t, m, c.CarrierID)
	if got.NextRefreshAt == nil || got.CarrierID != c.CarrierID {
		t.Fatalf("connection = %+v", got)
	}
	at, err := time.Parse(time.RFC3339, *got.NextRefreshAt)
	if err != nil || at.Before(before) || at.After(time.Now()) {
		t.Errorf("next_refresh_at = %s, want now", *got.NextRefreshAt)
	}
}

// eventually polls until done returns true, or fails the test.
func eventually(t *testing.T, within time.Duration, what string, done func() bool) {
	t.Helper()
	waitFor(t, within, func() string {
		if done() {
			return ""
		}
		return what
	})
}

// waitFor polls until nothing is wrong, or fails the test with what is.
func waitFor(t *testing.T, within time.Duration, wrong func() string) {
	t.Helper()
	end := time.After(within)
	for what := wrong(); what != ""; what = wrong() {
		select {
		case <-end:
			t.Fatalf("within %s: %s", within, what)
		case <-time.After(300 * time.Millisecond):
		}
	}
}
