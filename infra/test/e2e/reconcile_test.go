package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
)

// reconciles runs the reconciler until it has settled everything. Another run, of the rule or of another test, may have taken
// the work up already, so that its report is not this one's.
func reconciles(t *testing.T, settled map[string]func() bool) {
	t.Helper()
	for unsettled, isSettled := range settled {
		eventually(t, checkWithin, unsettled, func() bool {
			if isSettled() {
				return true
			}
			text, err := service.Invoke(t.Context(), "reconcile", map[string]any{})
			if err != nil {
				t.Fatalf("invoking reconcile: %v", err)
			}
			var report struct {
				Failed int `json:"failed"`
			}
			if err := json.Unmarshal(text, &report); err != nil || report.Failed > 0 {
				t.Errorf("reconcile answered %s: %v", text, err)
			}
			return isSettled()
		})
	}
}

// crashes makes what requests of a merchant of production leave when they die.
type crashes struct {
	*testing.T
	owner
	*store.Store
	vault *secretsmanager.Client
	past  time.Time
}

func newCrashes(t *testing.T) *crashes {
	t.Helper()
	return &crashes{t, newOwner(t, false), store.New(table(), service.TableName, kit.Options{}), secretsmanager.NewFromConfig(service.AWSConfig()), time.Now().Add(-time.Second)}
}

func (c *crashes) row(id string) connection.Connection {
	c.Helper()
	conn, err := c.Connection(c.Context(), c.ID, id)
	if err != nil {
		c.Fatal(err)
	}
	return conn
}

func (c *crashes) save(conn connection.Connection) {
	c.Helper()
	if err := c.SaveConnection(c.Context(), &conn); err != nil {
		c.Fatal(err)
	}
}

// intent makes a link that has a lease until then, and no secret yet.
func (c *crashes) intent(id, number string, until time.Time) {
	c.Helper()
	conn := connection.Connection{
		ID: id, AccountID: c.ID, PartnerID: production.ID, Environment: carrier.Production, Carrier: carrier.AustraliaPost, AccountNumber: number, Nickname: "Crashed",
		Status: connection.Linking, Standing: account.StandingActive, RefreshPolicy: connection.RefreshDaily, CreatedAt: c.past, ModifiedAt: c.past, LeaseUntil: until,
	}
	if err := c.BeginLink(c.Context(), &conn, connection.LinkOptions{}); err != nil {
		c.Fatal(err)
	}
}

// credentials returns the value of a secret that no row names.
func (c *crashes) credentials() *string {
	key, secret := newCredentials()
	api.secrets.add(key)
	api.secrets.add(secret)
	return aws.String(`{"api_key":"` + key + `","api_secret":"` + secret + `"}`)
}

// create makes the secret of a link that died after CreateSecret.
func (c *crashes) create(id string) {
	c.Helper()
	if _, err := c.vault.CreateSecret(c.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(secretName(c.merchant, id)), SecretString: c.credentials()}); err != nil {
		c.Fatal(err)
	}
}

// stage makes the version that a change has staged and never made current.
func (c *crashes) stage(id string) {
	c.Helper()
	if _, err := c.vault.PutSecretValue(c.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(secretName(c.merchant, id)), SecretString: c.credentials(), VersionStages: []string{"AWSPENDING"},
	}); err != nil {
		c.Fatal(err)
	}
}

// change leaves a change of credentials that died after PutSecretValue.
func (c *crashes) change(id string) {
	c.Helper()
	conn := c.row(id)
	conn.Work, conn.LeaseUntil = connection.WorkCredentials, c.past
	c.save(conn)
	c.stage(id)
}

// remove deletes the secret of a connection, at once or in some days.
func (c *crashes) remove(id string, atOnce bool) {
	c.Helper()
	if _, err := c.vault.DeleteSecret(c.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String(secretName(c.merchant, id)), ForceDeleteWithoutRecovery: &atOnce}); err != nil {
		c.Fatal(err)
	}
}

// The next request settles what a crash has left, with the rights of its own function.
func TestNextRequestSettles(t *testing.T) {
	t.Parallel()
	put := func(c *crashes, id string) answer {
		c.Helper()
		key, secret := newCredentials()
		return change(c.T, c.merchant, "australia_post", id, fields{"api_key": key, "api_secret": secret})
	}
	for name, settle := range map[string]func(c *crashes, id string){
		"a read after a change": func(c *crashes, id string) {
			c.change(id)
			read(c.T, c.merchant, id, "?refresh=true").expect(c.T, http.StatusOK)
		},
		"a link after a link": func(c *crashes, _ string) {
			const id = "se-8000000000000003"
			number := ausPostNumber("00")
			c.intent(id, number, c.past)
			c.create(id)
			c.remove(id, false)
			if got := link(c.T, c.merchant, "australia_post", number).CarrierID; got != id {
				c.Errorf("the link is %s, want to take over %s", got, id)
			}
		},
		"a change of a deleted secret": func(c *crashes, id string) {
			c.remove(id, true)
			put(c, id).expect(c.T, http.StatusOK)
		},
		"a change of a secret that is being deleted": func(c *crashes, id string) {
			c.remove(id, false)
			put(c, id).expect(c.T, http.StatusOK)
		},
		"a change on the page of a secret that is being deleted": func(c *crashes, id string) {
			c.remove(id, false)
			key, secret := newSecret()
			p := newPerson(c.T)
			p.signIn(c.owner)
			here := "/portal/carriers/" + id
			p.follow(p.fill(here+"/change", "api_key", key, "api_secret", secret), here, "ends in "+key[len(key)-4:])
		},
		"a restored account": func(c *crashes, id string) {
			c.stage(id)
			as(c.T, production.APIKey).remove(c.ID, nil)
			as(c.T, production.APIKey).restore(c.ID)
			if s := secretOf(c.T, c.merchant, id); s.Scheduled || s.Labels["AWSPENDING"] != "" {
				c.Errorf("the secret is %+v", s)
			}
		},
		"the reconciler after a restore": func(c *crashes, id string) {
			as(c.T, production.APIKey).remove(c.ID, nil)
			row, err := c.Account(c.Context(), c.ID, time.Now())
			if err != nil {
				c.Fatal(err)
			}
			if err := c.RestoreAccount(c.Context(), row, false, effects.Effects{}, c.past); err != nil {
				c.Fatal(err)
			}
			reconciles(c.T, map[string]func() bool{"the secret is still scheduled for deletion": func() bool { return !secretOf(c.T, c.merchant, id).Scheduled }})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasSuffix(name, " of a secret that is being deleted") && differs("writes secrets that are being deleted") {
				return
			}
			c := newCrashes(t)
			id := link(t, c.merchant, "australia_post", ausPostNumber("00")).CarrierID
			settle(c, id)
			read(t, c.merchant, id, "?refresh=true").expect(t, http.StatusOK)
		})
	}
}

// The deployed reconciler finishes or undoes what a crash would have left. It leaves work with a running lease alone.
func TestReconcile(t *testing.T) {
	t.Parallel()
	c := newCrashes(t)
	m, rows, past, ahead := c.merchant, c.Store, c.past, time.Now().Add(time.Hour)
	const crashed, atWork = "se-8000000000000001", "se-8000000000000002"

	// A link that died after CreateSecret, and a link that is still running.
	number, running := ausPostNumber("00"), ausPostNumber("00")
	c.intent(crashed, number, past)
	c.intent(atWork, running, ahead)
	c.create(crashed)
	// A change that died after PutSecretValue.
	changing := link(t, m, "australia_post", ausPostNumber("00")).CarrierID
	before := secretOf(t, m, changing)
	c.change(changing)
	// An unlink that died after the write of its row.
	unlinked := link(t, m, "australia_post", ausPostNumber("00")).CarrierID
	conn := c.row(unlinked)
	conn.Status, conn.Work, conn.LeaseUntil, conn.DisconnectedAt, conn.PurgeAt = connection.Disconnected, connection.WorkUnlink, past, past, past.Add(connection.HistoryKept)
	conn.NextRefreshAt = time.Time{}
	if err := rows.Unlink(t.Context(), &conn, effects.Effects{}, past); err != nil {
		t.Fatal(err)
	}
	// An account whose connections have not followed it.
	follower := newMerchant(t, production)
	following := link(t, follower, "australia_post", ausPostNumber("00")).CarrierID
	account, err := rows.Account(t.Context(), follower.ID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.SetAccountActive(t.Context(), account, false, false, effects.Effects{}, past); err != nil {
		t.Fatal(err)
	}

	reconciles(t, map[string]func() bool{
		"the intent or its secret still exists": func() bool { return rowOf(t, m, crashed) == nil && !secretOf(t, m, crashed).Exists },
		"the change was not undone": func() bool {
			s := secretOf(t, m, changing)
			return s.Current == before.Current && s.Labels["AWSPENDING"] == "" && str(rowOf(t, m, changing), "work") == ""
		},
		"the unlink was not finished": func() bool { return secretOf(t, m, unlinked).Scheduled && str(rowOf(t, m, unlinked), "work") == "" },
		"the connection has not followed its account": func() bool {
			return str(rowOf(t, follower, following), "standing") == "paused" && str(getItem(t, accountPK(follower.ID), "ACCOUNT"), "due_pk") == ""
		},
	})
	link(t, m, "australia_post", number) // its number is free
	if it := rowOf(t, m, atWork); str(it, "status") != "linking" {
		t.Error("the link that is still running was undone")
	}
	api.call(t, request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: linkBody(running)}).
		expect(t, http.StatusConflict, problem{"business_rules", "invalid_status", "account_number", ""})
	read(t, m, changing, "?refresh=true").expect(t, http.StatusOK)
	// The lease of the other link is over now.
	conn = c.row(atWork)
	conn.LeaseUntil = time.Now()
	c.save(conn)
	reconciles(t, map[string]func() bool{"the intent still exists": func() bool { return rowOf(t, m, atWork) == nil }})
	link(t, m, "australia_post", running)
}
