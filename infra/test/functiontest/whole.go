package functiontest

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/connection"
)

// One checks that table and vault hold exactly one connection and agree about it:
// it holds this number, has these credentials, and no work is going on. It returns
// the row.
func (d *Fixture) One(t *testing.T, number string, c connection.Credentials) connection.Connection {
	t.Helper()
	row := d.only(t)
	if !row.Visible() || row.Work != connection.NoWork || !row.LeaseUntil.IsZero() || row.AccountNumber != number {
		t.Errorf("the connection is %s with the number %s, work %q until %v", row.Status, row.AccountNumber, row.Work, row.LeaseUntil)
	}
	d.counts(t, row, 1)
	if stored, err := d.Vault.Get(t.Context(), Account, row.ID, row.SecretVersion); err != nil || !stored.Equal(c) || row.CredentialID != connection.CredentialID(c.APIKey) {
		t.Errorf("the row names other credentials, or they cannot be read: %v", err)
	}
	snap, err := d.Store.Snapshot(t.Context(), Account, row.ID)
	if err != nil || snap == nil {
		t.Fatalf("the snapshot: %v, %v", snap, err)
	}
	if raw, err := snap.Raw(); err != nil || !strings.Contains(string(raw), number) || connection.SnapshotHash(raw) != row.ContractHash {
		t.Errorf("the snapshot does not belong to the row: %v", err)
	}
	secret := d.secret(t, row.ID)
	if secret.DeletedDate != nil {
		t.Error("the secret is scheduled for deletion")
	}
	for version, labels := range secret.VersionIdsToStages {
		if slices.Contains(labels, "AWSCURRENT") != (version == row.SecretVersion) || slices.Contains(labels, "AWSPENDING") {
			t.Errorf("the version %s has the labels %v, the row's is %s", version, labels, row.SecretVersion)
		}
	}
	return row
}

// Gone checks that the only connection is disconnected, has neither number nor
// snapshot, and that its secret is scheduled for deletion.
func (d *Fixture) Gone(t *testing.T) {
	t.Helper()
	row := d.only(t)
	if row.Status != connection.Disconnected || row.Work != connection.NoWork || !row.LeaseUntil.IsZero() || row.PurgeAt.IsZero() {
		t.Errorf("the connection is %s, work %q until %v, purged at %v", row.Status, row.Work, row.LeaseUntil, row.PurgeAt)
	}
	d.counts(t, row, 0)
	if snap, err := d.Store.Snapshot(t.Context(), Account, row.ID); err != nil || snap != nil {
		t.Errorf("the snapshot still exists: %v", err)
	}
	if d.secret(t, row.ID).DeletedDate == nil {
		t.Error("the secret is not scheduled for deletion")
	}
	if len(d.History(row.ID)) == 0 {
		t.Error("its history is gone")
	}
}

// Nothing checks that there is neither a number, a count nor a secret of a
// connection.
func (d *Fixture) Nothing(t *testing.T) {
	t.Helper()
	d.counts(t, connection.Connection{AccountNumber: Number}, 0)
	if names := d.secretNames(t); len(names) != 0 {
		t.Errorf("secrets of the account: %v", names)
	}
}

// only returns the only row of Account, of any status.
func (d *Fixture) only(t *testing.T) connection.Connection {
	t.Helper()
	rows, err := d.Store.AllConnections(t.Context(), Account)
	if err != nil || len(rows) != 1 {
		t.Fatalf("the account has %d connections, %v, want one", len(rows), err)
	}
	return rows[0]
}

// counts checks the holders of the numbers, and the account's count of carriers.
func (d *Fixture) counts(t *testing.T, row connection.Connection, want int) {
	t.Helper()
	for _, number := range slices.Compact([]string{row.AccountNumber, Number, OtherNumber}) {
		var holders []string
		if want > 0 && number == row.AccountNumber {
			holders = []string{row.ID}
		}
		if got := d.Holders(number); !slices.Equal(got, holders) {
			t.Errorf("the number %s is held by %v, want %v", number, got, holders)
		}
	}
	a, err := d.Store.Account(t.Context(), Account, d.Clock)
	if err != nil || a.CarriersCount != want {
		t.Errorf("carriers_count = %d, %v, want %d", a.CarriersCount, err, want)
	}
}

// secret describes the only secret of Account.
func (d *Fixture) secret(t *testing.T, id string) *secretsmanager.DescribeSecretOutput {
	t.Helper()
	name := d.SecretName(id)
	if diff := cmp.Diff([]string{name}, d.secretNames(t)); d.engines.secrets != "" && diff != "" {
		t.Errorf("secrets of the account (-want +got):\n%s", diff)
	}
	secret, err := d.Secrets.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// secretNames lists the secrets of Account on the engines.
func (d *Fixture) secretNames(t *testing.T) []string {
	t.Helper()
	client, ok := d.Secrets.(*secretsmanager.Client)
	if !ok {
		return nil
	}
	out, err := client.ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{
		IncludePlannedDeletion: aws.Bool(true), Filters: []smtypes.Filter{{Key: smtypes.FilterNameStringTypeName, Values: []string{d.SecretName("")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range out.SecretList {
		names = append(names, aws.ToString(s.Name))
	}
	return names
}
