package e2e

import (
	"encoding/json"
	"net/http"
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

// reconciled is the report of reconcile.
type reconciled struct {
	LinksUndone      int `json:"links_undone"`
	ChangesSettled   int `json:"changes_settled"`
	UnlinksFinished  int `json:"unlinks_finished"`
	AccountsFollowed int `json:"accounts_followed"`
	Failed           int `json:"failed"`
}

func reconcile(t *testing.T) reconciled {
	t.Helper()
	text, err := service.Invoke(t.Context(), "reconcile", map[string]any{})
	if err != nil {
		t.Fatalf("invoking reconcile: %v", err)
	}
	var r reconciled
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("reconcile answered %s: %v", text, err)
	}
	return r
}

// The deployed reconciler finishes or undoes what a crash would have left. It leaves work with a running lease alone.
func TestReconcile(t *testing.T) {
	t.Parallel()
	rows := store.New(table(), service.TableName, kit.Options{})
	secrets := secretsmanager.NewFromConfig(service.AWSConfig())
	m := newMerchant(t, production)
	past, ahead := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	load := func(id string) connection.Connection {
		t.Helper()
		conn, err := rows.Connection(t.Context(), m.ID, id)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	save := func(conn connection.Connection) {
		t.Helper()
		if err := rows.SaveConnection(t.Context(), &conn); err != nil {
			t.Fatal(err)
		}
	}

	// A link that died after CreateSecret, and a link that is still running.
	number, running := ausPostNumber("00"), ausPostNumber("00")
	intent := func(id, number string, until time.Time) connection.Connection {
		t.Helper()
		conn := connection.Connection{
			ID: id, AccountID: m.ID, PartnerID: production.ID, Environment: carrier.Production, Carrier: carrier.AustraliaPost, AccountNumber: number, Nickname: "Crashed",
			Status: connection.Linking, Standing: account.StandingActive, RefreshPolicy: connection.RefreshDaily, CreatedAt: past, ModifiedAt: past, LeaseUntil: until,
		}
		if err := rows.BeginLink(t.Context(), &conn, connection.LinkOptions{}); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	crashed, atWork := intent("se-8000000000000001", number, past), intent("se-8000000000000002", running, ahead)
	key, secret := newCredentials()
	api.secrets.add(key)
	api.secrets.add(secret)
	if _, err := secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String(secretName(m, crashed.ID)), SecretString: aws.String(`{"api_key":"` + key + `","api_secret":"` + secret + `"}`),
	}); err != nil {
		t.Fatal(err)
	}
	// A change that died after PutSecretValue.
	changing := link(t, m, "australia_post", ausPostNumber("00")).CarrierID
	before := secretOf(t, m, changing)
	conn := load(changing)
	conn.Work, conn.LeaseUntil = connection.WorkCredentials, past
	save(conn)
	if _, err := secrets.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(secretName(m, changing)), SecretString: aws.String(`{"api_key":"` + key + `","api_secret":"` + secret + `"}`), VersionStages: []string{"AWSPENDING"},
	}); err != nil {
		t.Fatal(err)
	}
	// An unlink that died after the write of its row.
	unlinked := link(t, m, "australia_post", ausPostNumber("00")).CarrierID
	conn = load(unlinked)
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

	if got := reconcile(t); got.LinksUndone < 1 || got.ChangesSettled < 1 || got.UnlinksFinished < 1 || got.AccountsFollowed < 1 || got.Failed > 0 {
		t.Errorf("report = %+v, want one of each", got)
	}
	if it := rowOf(t, m, crashed.ID); it != nil || secretOf(t, m, crashed.ID).Exists {
		t.Error("the intent or its secret still exists")
	}
	link(t, m, "australia_post", number) // its number is free
	if it := rowOf(t, m, atWork.ID); str(it, "status") != "linking" {
		t.Error("the link that is still running was undone")
	}
	api.call(t, request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: linkBody(running)}).
		expect(t, http.StatusConflict, problem{"business_rules", "invalid_status", "account_number", ""})
	if s, row := secretOf(t, m, changing), rowOf(t, m, changing); s.Current != before.Current || s.Labels["AWSPENDING"] != "" || str(row, "work") != "" {
		t.Error("the change was not undone")
	}
	read(t, m, changing, "?refresh=true").expect(t, http.StatusOK)
	if s, row := secretOf(t, m, unlinked), rowOf(t, m, unlinked); !s.Scheduled || str(row, "work") != "" {
		t.Error("the unlink was not finished")
	}
	if row := rowOf(t, follower, following); str(row, "standing") != "paused" || str(getItem(t, accountPK(follower.ID), "ACCOUNT"), "due_pk") != "" {
		t.Error("the connection has not followed its account")
	}
	// The lease of the other link is over now.
	conn = load(atWork.ID)
	conn.LeaseUntil = time.Now()
	save(conn)
	if got := reconcile(t); got.LinksUndone < 1 || got.Failed > 0 {
		t.Errorf("report = %+v, want a link undone", got)
	}
	if it := rowOf(t, m, atWork.ID); it != nil {
		t.Error("the intent still exists")
	}
	link(t, m, "australia_post", running)
}
