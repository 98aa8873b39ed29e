package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/mail"
	"carrierlink/shared/store/dynamotest"
)

// told is all that somebody outside could see or measure of a request, but for its time: what
// takes most of it are the calls and the hashes.
type told struct {
	Answer answer
	Calls  []string
	Hashes int
	Mails  []mail.Kind
}

// manyAccounts adds an account of each kind that an email can have, ten times, and returns their emails.
func (d *front) manyAccounts(tb testing.TB) (emails []string) {
	tb.Helper()
	by := effects.Effects{By: effects.By{Actor: effects.Partner, PartnerID: 5}}
	for i := range int64(10) {
		next := 100 * (i + 1)
		add := func(env carrier.Environment) int64 {
			next++
			d.AddAccount(account.Account{ID: next, PartnerID: 5, Environment: env, OriginCountryCode: "AU", Active: true})
			return next
		}
		emails = append(emails, d.AddLogin(add(carrier.Production)), d.AddLogin(add(carrier.Sandbox)))
		both := add(carrier.Production)
		emails = append(emails, d.AddLogin(both))
		shared := d.account(tb, both)
		next++
		d.AddAccount(account.Account{ID: next, PartnerID: 5, Environment: carrier.Sandbox, Email: shared.Email, OriginCountryCode: "AU", Active: true})
		next++
		without := "none" + strconv.FormatInt(next, 10) + "@example.com"
		d.AddAccount(account.Account{ID: next, PartnerID: 5, Email: without, OriginCountryCode: "AU", Active: true})
		off, deleted := add(carrier.Production), add(carrier.Production)
		emails = append(emails, without, d.AddLogin(off), d.AddLogin(deleted))
		if err := d.Accounts.Disable(tb.Context(), d.account(tb, off), false, by); err != nil {
			tb.Fatal(err)
		}
		if err := d.Accounts.Delete(tb.Context(), d.account(tb, deleted), false, 30, by); err != nil {
			tb.Fatal(err)
		}
	}
	return emails
}

// stranger returns an email like another one that nobody has.
func stranger(known string, from *rand.Rand) string {
	local, domain, _ := strings.Cut(known, "@")
	b := []byte(local)
	for i := range b {
		b[i] = 'a' + byte(from.IntN(26))
	}
	return string(b[:len(b)-1]) + "-@" + domain // no account's name ends so
}

// spellings are how people enter an email, which is the same account's.
var spellings = []func(string) string{
	func(s string) string { return s },
	strings.ToUpper,
	func(s string) string { return strings.ToUpper(s[:1]) + s[1:] },
}

// TestTenThousandPairs enters emails that somebody has, and for each of them one that nobody has,
// from the first try to those that are throttled, by email and by network. TestNothingTells of
// shared/signin is the same without pages.
func TestTenThousandPairs(t *testing.T) {
	const pairs, batch, tries, ofNetwork = 5_000, 20, 8, 40 // pairs: of each form
	for _, page := range []string{signInPath, forgotPath} {
		t.Run(strings.TrimPrefix(page, "/portal/"), func(t *testing.T) {
			d := newFront(t)
			emails := d.manyAccounts(t)
			var calls []string
			d.Table.Trouble = func(operation string, input any) dynamotest.Trouble {
				calls = append(calls, dynamotest.Summary(operation, input))
				return dynamotest.Trouble{}
			}
			from := rand.New(rand.NewPCG(7, 1))
			browsers := [2]*functiontest.Browser{d.browser(), d.browser()}
			try := func(side int, email, password string, n int) told {
				browsers[side].IP = fmt.Sprintf("10.%d.%d.1", side, n/ofNetwork) // a network is a /24
				calls = nil
				d.Mails.Take()
				s := browsers[side].Post(page, fields("email", email, "password", password))
				seen := told{Answer: answerTo(s, email), Calls: calls, Hashes: d.Hashes()}
				for _, m := range d.Mails.Take() {
					seen.Mails = append(seen.Mails, m.Kind)
				}
				return seen
			}
			statuses := map[int]int{}
			for n := 0; n < pairs; {
				d.Pass(3 * time.Hour)
				d.Table.Expire(d.Now())
				from.Shuffle(len(emails), func(i, j int) { emails[i], emails[j] = emails[j], emails[i] })
				strangers := make([]string, batch)
				for i := range strangers {
					strangers[i] = stranger(emails[i], from)
				}
				for range tries {
					for i, unknown := range strangers {
						spelled, password := spellings[from.IntN(len(spellings))], "canary "+strings.Repeat("x", from.IntN(20))
						known, other := try(0, spelled(emails[i]), password, n), try(1, spelled(unknown), password, n)
						statuses[known.Answer.Status]++
						if n++; !reflect.DeepEqual(known, other) {
							t.Fatalf("pair %d, %s and %s (-known +unknown):\n%s", n, emails[i], unknown, cmp.Diff(known, other))
						}
					}
				}
			}
			good := map[string]int{signInPath: http.StatusUnprocessableEntity, forgotPath: http.StatusSeeOther}[page]
			if statuses[good] < pairs/4 || statuses[http.StatusTooManyRequests] < pairs/10 || len(statuses) != 2 {
				t.Errorf("answers by status: %v, want many of %d and of 429", statuses, good)
			}
			t.Logf("answers by status: %v", statuses)
		})
	}
}
