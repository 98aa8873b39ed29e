package account_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
	"carrierlink/shared/store/storetest"
)

// world is a Service over a store in memory with account 71 of partner 5.
type world struct {
	*account.Service
	store *stand
	clock time.Time
	// followed lists the accounts whose connections were told to follow; left is the
	// time that they had.
	followed []int64
	left     time.Duration
	fail     error // of Follow
}

// stand is a store that runs another request before each change, and that can report ids
// as taken.
type stand struct {
	*storetest.Memory
	before func()
	taken  int
	made   []account.NewAccount
}

func (s *stand) CreateAccount(ctx context.Context, in account.NewAccount, fx effects.Effects, now time.Time) error {
	if s.taken > 0 {
		s.taken--
		return account.ErrIDTaken
	}
	err := s.Memory.CreateAccount(ctx, in, fx, now)
	if err == nil {
		s.made = append(s.made, in)
	}
	return err
}

func (s *stand) UpdateAccount(ctx context.Context, c account.Update, fx effects.Effects, now time.Time) error {
	if s.before != nil {
		s.before()
	}
	return s.Memory.UpdateAccount(ctx, c, fx, now)
}

func (w *world) Follow(ctx context.Context, accountID int64) error {
	w.followed = append(w.followed, accountID)
	if deadline, ok := ctx.Deadline(); ok {
		w.left = time.Until(deadline)
	}
	if w.fail != nil {
		return w.fail
	}
	// As the real service does, it clears Following.
	a, err := w.store.Account(ctx, accountID, w.clock)
	if err != nil {
		return err
	}
	return w.store.EndFollow(ctx, a)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{store: &stand{Memory: storetest.NewMemory()}, clock: time.Date(2026, 3, 1, 0, 0, 30, 123456789, time.UTC)}
	w.Service = &account.Service{
		Store: w.store, Connections: w, EmailKey: email.Key, Random: rand.Reader, Now: func() time.Time { return w.clock },
		HashPassword: func(_ io.Reader, password secret.Text) (string, error) { return "hash of " + password.Reveal(), nil },
	}
	w.add(t, account.Account{
		ID: 71, ExternalID: "shop/1", Email: "ada@example.com", FirstName: "Ada", OriginCountryCode: "AU", Metadata: map[string]string{"tier": "gold"}, Active: true,
	})
	return w
}

// add creates a production account of partner 5 with a key.
func (w *world) add(t *testing.T, a account.Account) account.Account {
	t.Helper()
	a.PartnerID, a.Environment, a.EmailKey, a.CreatedAt, a.ModifiedAt = 5, carrier.Production, email.Key(a.Email), w.now(), w.now()
	key, err := account.MakeKey(rand.Reader, account.APIKey{PartnerID: 5, AccountID: a.ID, Environment: a.Environment, CreatedAt: w.now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Store.CreateAccount(t.Context(), account.NewAccount{Account: a, Key: key.APIKey}, effects.Effects{}, w.clock); err != nil {
		t.Fatal(err)
	}
	return w.account(t, a.ID)
}

// now returns the time as it is stored.
func (w *world) now() time.Time { return w.clock.Truncate(time.Millisecond) }

// account returns the stored account.
func (w *world) account(t *testing.T, id int64) account.Account {
	t.Helper()
	a, err := w.Get(t.Context(), 5, id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// told describes an error: the kind, field and existing account of each problem.
func told(err error) string {
	if _, ok := errors.AsType[*effects.Replay](err); ok {
		return "replay"
	}
	var all []string
	for _, p := range fault.Of(err) {
		text := strings.TrimSpace(p.Kind.String() + " " + p.Field)
		if p.ExistingAccountID != 0 {
			text += " " + strconv.FormatInt(p.ExistingAccountID, 10)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// answers makes effects with an answer under the key k, and records the results that they
// are made from.
func answers[T any](made *[]T) effects.For[T] {
	return func(result T) (effects.Effects, error) {
		*made = append(*made, result)
		return answer(), nil
	}
}

func answer() effects.Effects {
	return effects.Effects{Answer: &effects.Record{
		Scope: "partner 5", Key: "k", PayloadMAC: []byte("mac"), Sealed: []byte("sealed"), ExpiresAt: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
	}}
}

// unmakeable fails to make effects.
func unmakeable[T any](T) (effects.Effects, error) { return effects.Effects{}, errUnmakeable }

var errUnmakeable = errors.New("no service secret")

func TestGet(t *testing.T) {
	w := newWorld(t)
	w.clock = w.clock.Add(time.Minute)
	gone := w.add(t, account.Account{ID: 72, ExternalID: "gone"})
	if err := w.Delete(t.Context(), gone, false, account.MinPurgeDays, effects.Effects{}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name        string
		partner, id int64
		externalID  string
		later       time.Duration
		want        string
	}{
		{"absent", 5, 99, "none", 0, "not found"},
		{"another partner's", 6, 71, "shop/1", 0, "not found"},
		{"purged", 5, 72, "gone", 7 * 24 * time.Hour, "not found"},
		{"deleted", 5, 72, "gone", 0, ""},
		{"its own", 5, 71, "shop/1", 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			start := w.clock
			w.clock = start.Add(tc.later)
			defer func() { w.clock = start }()
			if a, err := w.Get(t.Context(), tc.partner, tc.id); told(err) != tc.want || (err == nil) != (a.ID == tc.id) {
				t.Errorf("Get = account %d, %v, want %q", a.ID, err, tc.want)
			}
			if id, err := w.IDByExternalID(t.Context(), tc.partner, tc.externalID); told(err) != tc.want || (err == nil) != (id == tc.id) {
				t.Errorf("IDByExternalID = %d, %v, want %q", id, err, tc.want)
			}
		})
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	w.clock = w.clock.Add(time.Minute)
	w.add(t, account.Account{ID: 72, ExternalID: "shop/2"})
	yes, external := true, func(id string) *string { return &id }
	for _, tc := range []struct {
		name    string
		partner int64
		listing account.Listing
		want    []int64
		next    bool
	}{
		{"all", 5, account.Listing{Limit: 10}, []int64{72, 71}, false},
		{"a page", 5, account.Listing{Limit: 1}, []int64{72}, true},
		{"the next page", 5, account.Listing{Limit: 1, Skip: 1}, []int64{71}, false},
		{"the active ones", 5, account.Listing{Limit: 10, Filter: account.Filter{Active: &yes}}, []int64{71}, false},
		{"by external id", 5, account.Listing{Limit: 10, ExternalID: external("shop/2")}, []int64{72}, false},
		{"by external id, the second page", 5, account.Listing{Limit: 10, Skip: 10, ExternalID: external("shop/2")}, nil, false},
		{"by external id, of the active ones", 5, account.Listing{Limit: 10, ExternalID: external("shop/2"), Filter: account.Filter{Active: &yes}}, nil, false},
		{"by nobody's external id", 5, account.Listing{Limit: 10, ExternalID: external("shop")}, nil, false},
		{"another partner's", 6, account.Listing{Limit: 10}, nil, false},
		{"another partner's, by external id", 6, account.Listing{Limit: 10, ExternalID: external("shop/2")}, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found, next, err := w.List(t.Context(), tc.partner, tc.listing)
			var got []int64
			for _, a := range found {
				got = append(got, a.ID)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil || (next != nil) != tc.next {
				t.Errorf("List = next %+v, %v (-want +got):\n%s", next, err, diff)
			}
		})
	}
}
