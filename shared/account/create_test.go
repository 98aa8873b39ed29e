package account_test

import (
	"crypto/rand"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/secret"
)

// creation returns a creation by partner 5 without fields.
func creation() account.Creation {
	return account.Creation{Partner: account.Partner{ID: 5, Environment: carrier.Production, DefaultCountryCode: "AU"}}
}

func TestCreateFails(t *testing.T) {
	w := newWorld(t)
	broken := errors.New("no entropy")
	w.Random = iotest.ErrReader(broken)
	if _, err := w.Create(t.Context(), creation(), nil); !errors.Is(err, broken) {
		t.Errorf("without randomness for the id: %v", err)
	}
	w.Random = io.MultiReader(strings.NewReader("0123"), iotest.ErrReader(broken))
	if _, err := w.Create(t.Context(), creation(), nil); !errors.Is(err, broken) {
		t.Errorf("without randomness for the key: %v", err)
	}
	w.Random = rand.Reader
	if _, err := w.Create(t.Context(), creation(), unmakeable); !errors.Is(err, errUnmakeable) {
		t.Errorf("effects that cannot be made: %v", err)
	}
	w.HashPassword = func(io.Reader, secret.Text) (string, error) { return "", broken }
	in := creation()
	in.Password = secret.New("1234567")
	if _, err := w.Create(t.Context(), in, nil); !errors.Is(err, broken) {
		t.Errorf("hash that cannot be made: %v", err)
	}
	if len(w.store.made) != 0 {
		t.Errorf("failed creations created accounts: %+v", w.store.made)
	}
}

// TestCreateRetriesTakenIDs: each try has its own id and key, and the answer shows the
// account that is stored.
func TestCreateRetriesTakenIDs(t *testing.T) {
	const draws = 4
	for taken, want := range map[int]string{0: "", draws - 1: "", draws: "internal", draws + 1: "internal"} {
		t.Run(strconv.Itoa(taken), func(t *testing.T) {
			w := newWorld(t)
			w.store.taken = taken
			var shown []*account.Created
			made, err := w.Create(t.Context(), creation(), answers(&shown))
			if told(err) != want || len(shown) != min(taken+1, draws) {
				t.Fatalf("Create = %v after %d tries, want %q", err, len(shown), want)
			}
			if err != nil {
				if !errors.Is(err, account.ErrIDTaken) {
					t.Errorf("Create = %v, want ErrIDTaken in its chain", err)
				}
				return
			}
			last := shown[len(shown)-1]
			if kept := w.store.made[0]; kept.Account.ID != made.Account.ID || last.Account.ID != made.Account.ID || kept.Key.ID != last.Key.ID {
				t.Errorf("stored %+v, answered %+v, returned %+v", kept, last, made)
			}
			ids := map[int64]bool{}
			for _, s := range shown {
				ids[s.Account.ID] = true
			}
			if len(ids) != len(shown) {
				t.Errorf("%d tries with %d ids", len(shown), len(ids))
			}
		})
	}
}

func TestCreate(t *testing.T) {
	w := newWorld(t)
	in := creation()
	in.Account = account.Account{
		FirstName: "Ada", LastName: "King", CompanyName: "Engines & Co", ExternalID: "shop/2", OriginCountryCode: "GB", Email: "Ada@BÜCHER.example", Metadata: map[string]string{"tier": "gold"},
	}
	in.Password = secret.New("hunter2")
	var shown []*account.Created
	made, err := w.Create(t.Context(), in, answers(&shown))
	if err != nil {
		t.Fatal(err)
	}
	want := in.Account
	want.ID, want.PartnerID, want.Environment, want.Active = made.Account.ID, 5, carrier.Production, true
	want.EmailKey, want.PasswordHash = "ADA@xn--bcher-kva.example", "hash of hunter2"
	want.CreatedAt, want.ModifiedAt, want.Version = w.now(), w.now(), 1
	if diff := cmp.Diff([]account.Account{want, want}, []account.Account{made.Account, w.account(t, made.Account.ID)}); diff != "" {
		t.Errorf("accounts returned and stored (-want +got):\n%s", diff)
	}
	text, ok := account.ParseKey(made.Key.Text.Reveal())
	wantKey := account.APIKey{
		ID: made.Key.ID, PartnerID: 5, AccountID: want.ID, Hash: text.Hash(), Prefix: text.Prefix(), LastFour: text.Text.LastFour(),
		Description: "Created with the account", Environment: carrier.Production, CreatedAt: w.now(),
	}
	keys, err := w.Keys(t.Context(), want.ID)
	if diff := cmp.Diff([]account.APIKey{wantKey}, keys); diff != "" || !ok || err != nil {
		t.Errorf("keys of the account, %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]*account.Created{made}, shown, cmp.Comparer(secret.Text.Equal)); diff != "" {
		t.Errorf("results given to the effects (-want +got):\n%s", diff)
	}
	// The answer is stored with the account.
	if _, err := w.Create(t.Context(), creation(), answers(&shown)); told(err) != "replay" || len(w.store.made) != 1 {
		t.Errorf("the same Idempotency-Key again: %v, %d accounts", err, len(w.store.made))
	}
}

// TestCreateTakesThePartnersDefaults: country, environment and the kind of the key.
func TestCreateTakesThePartnersDefaults(t *testing.T) {
	w := newWorld(t)
	in := account.Creation{Partner: account.Partner{ID: 9, Environment: carrier.Sandbox, DefaultCountryCode: "NZ"}}
	made, err := w.Create(t.Context(), in, nil)
	if a := made.Account; err != nil || a.OriginCountryCode != "NZ" || a.Environment != carrier.Sandbox || a.PartnerID != 9 || a.PasswordHash != "" || a.EmailKey != "" {
		t.Errorf("Create = %+v, %v", a, err)
	}
	if text := made.Key.Text.Reveal(); !strings.HasPrefix(text, "cl_test_") {
		t.Errorf("key %s, want a sandbox key", text)
	}
}

// TestCreateOrReturnExisting: the existing account is returned if it is the partner's own
// and holds all the identifiers that are taken.
func TestCreateOrReturnExisting(t *testing.T) {
	w := newWorld(t)
	w.add(t, account.Account{ID: 72, ExternalID: "shop/2", Email: "bob@example.com"})
	in := creation()
	in.Partner.ID, in.Account.Email, in.Account.ExternalID = 6, "cy@example.com", "shop/3"
	if _, err := w.Create(t.Context(), in, nil); err != nil {
		t.Fatal(err)
	}
	before := len(w.store.made)
	for _, tc := range []struct {
		name, externalID, email string
		want                    string // without ReturnExisting
		existing                int64  // with it; zero: the same conflict
	}{
		{"external id", "shop/1", "", "conflict external_account_id 71", 71},
		{"email in another letter case", "", "ADA@example.com", "conflict email 71", 71},
		{"both held by one account", "shop/1", "ada@example.com", "conflict external_account_id 71, conflict email 71", 71},
		{"external id taken, email new", "shop/1", "new@example.com", "conflict external_account_id 71", 71},
		{"two different accounts", "shop/1", "bob@example.com", "conflict external_account_id 71, conflict email 72", 0},
		{"another partner's email", "", "cy@example.com", "conflict email", 0},
		{"own external id, another partner's email", "shop/1", "cy@example.com", "conflict external_account_id 71, conflict email", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, existing := range []bool{false, true} {
				in := creation()
				in.Account.ExternalID, in.Account.Email, in.ReturnExisting = tc.externalID, tc.email, existing
				made, err := w.Create(t.Context(), in, nil)
				switch {
				case !existing || tc.existing == 0:
					if told(err) != tc.want {
						t.Errorf("ReturnExisting %t: %v, want %q", existing, err, tc.want)
					}
				case err != nil || made.Key != nil || made.Account.ID != tc.existing:
					t.Errorf("Create = %+v, %v, want account %d without a key", made, err, tc.existing)
				}
			}
		})
	}
	if len(w.store.made) != before {
		t.Errorf("conflicts created accounts: %+v", w.store.made[before:])
	}
	t.Run("nothing is taken", func(t *testing.T) {
		in := creation()
		in.Account.ExternalID, in.ReturnExisting = "new", true
		if made, err := w.Create(t.Context(), in, nil); err != nil || made.Key == nil {
			t.Errorf("Create = %+v, %v", made, err)
		}
	})
	t.Run("its answer is stored", func(t *testing.T) {
		in := creation()
		in.Account.ExternalID, in.ReturnExisting = "shop/1", true
		var shown []*account.Created
		if _, err := w.Create(t.Context(), in, unmakeable); !errors.Is(err, errUnmakeable) {
			t.Errorf("effects that cannot be made: %v", err)
		}
		if _, err := w.Create(t.Context(), in, answers(&shown)); err != nil || shown[len(shown)-1].Key != nil {
			t.Errorf("Create = %v, answered %+v", err, shown)
		}
		if _, err := w.Create(t.Context(), in, answers(&shown)); told(err) != "replay" {
			t.Errorf("the same Idempotency-Key again: %v", err)
		}
	})
}
