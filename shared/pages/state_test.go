package pages_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/pages"
	"carrierlink/shared/secret"
)

// now is 3:20 pm in Sydney.
var now = time.Date(2027, 3, 14, 4, 20, 0, 0, time.UTC) // never changes

func frame() pages.Frame {
	return pages.Frame{
		Title: "Overview", Nav: pages.NavOverview, Company: "Blue Gum Trading", Partner: "Acme Ships", Now: now, Zone: account.ZoneOf("AU"),
		RequestID: "7d0c1c6e-0000-4000-8000-000000000001",
	}
}

// linked is a connection that works.
func linked(edit ...func(*connection.Connection)) *connection.Connection {
	c := &connection.Connection{
		ID: "se-0000000000000001", AccountID: 71, PartnerID: 5, Environment: carrier.Production, Carrier: carrier.AustraliaPost, AccountNumber: "0000123400",
		Nickname: "Main warehouse", Status: connection.Active, Standing: account.StandingActive, APIKeyLastFour: "9dd1",
		LastCheck: connection.Check{
			At: now.Add(-12 * time.Minute), Outcome: carrier.OutcomeOK, Latency: 400 * time.Millisecond, Trigger: connection.TriggerSchedule,
		},
		VerifiedAt: now.Add(-12 * time.Minute), NextRefreshAt: now.Add(5 * time.Minute), RefreshPolicy: connection.RefreshDaily,
		CredentialsUpdatedAt: now.AddDate(0, -2, 0), CreatedAt: now.AddDate(0, -3, 0), ContractValidTo: "2999-12-31",
	}
	for _, e := range edit {
		e(c)
	}
	return c
}

// in puts a connection in a status for a reason, with the outcome of its last check.
func in(status connection.Status, reason string, last carrier.Outcome) func(*connection.Connection) {
	return func(c *connection.Connection) {
		c.Status, c.StatusReason, c.LastCheck.Outcome = status, reason, last
		if last != carrier.OutcomeOK {
			c.VerifiedAt = now.Add(-26 * time.Hour)
		}
		if status == connection.PendingVerification {
			c.VerifiedAt = time.Time{}
		}
	}
}

func open() health.Breaker {
	return health.Breaker{Carrier: carrier.AustraliaPost, Open: true, Failure: "outage", ChangedAt: now.Add(-20 * time.Minute)}
}

// said is a state as a reader remembers it: chip, headline, then the explanation and steps.
func said(s pages.State) string {
	all := slices.Concat([]string{"[" + s.Chip + "] " + s.Headline}, s.Explanation)
	for _, step := range s.Steps {
		all = append(all, "- "+step)
	}
	return strings.Join(all, "\n")
}

func suspected(o carrier.Outcome) string { return connection.Suspected(o) }

func TestStateOf(t *testing.T) {
	works := pages.State{MayCheck: true, MayChange: true, MayDisconnect: true}
	const notYours = "Your key is not the problem. You need not do anything."
	for _, tc := range []struct {
		name    string
		c       *connection.Connection
		breaker health.Breaker
		tone    pages.Tone
		turn    pages.Turn
		may     pages.State
		want    string
	}{
		{
			"paused", linked(func(c *connection.Connection) { c.Standing = account.StandingPaused }),
			health.Breaker{},
			pages.ToneNeutral, pages.TurnPartner,
			pages.State{},
			"[Acme Ships' turn] Switched off\nYour account at Acme Ships is switched off, so we do not use this carrier account.\nPlease ask Acme Ships to switch it on again. Nothing is lost.",
		},
		{
			"a change is being made", linked(func(c *connection.Connection) {
				c.Work, c.LeaseUntil = connection.WorkCredentials, now.Add(7500*time.Millisecond)
			}),
			health.Breaker{},
			pages.ToneWait, pages.TurnNobody,
			pages.State{Reload: true},
			"[Wait] A change is being made\nThat usually takes a few seconds, and at most 8 seconds. Then reload this page.",
		},
		{
			"a change that has died", linked(func(c *connection.Connection) { c.Work, c.LeaseUntil = connection.WorkCredentials, now }),
			health.Breaker{},
			pages.ToneGood, pages.TurnNobody, works, "[Works] Connected. Last checked 12 minutes ago\nWe check it again in 5 minutes.",
		},
		{
			"a check is running", linked(func(c *connection.Connection) { c.LeaseUntil = now.Add(time.Second) }),
			health.Breaker{},
			pages.ToneGood, pages.TurnNobody,
			pages.State{MayChange: true, MayDisconnect: true, Reload: true},
			"[Works] Connected. Last checked 12 minutes ago\nWe check it again in 5 minutes.\nWe are checking it right now. Reload this page in a few seconds.",
		},
		{
			"the carrier asked for a pause", linked(in(connection.Degraded, "rate_limited", carrier.OutcomeRateLimited), func(c *connection.Connection) {
				c.HeldUntil = now.Add(10 * time.Minute)
			}),
			health.Breaker{},
			pages.ToneWait, pages.TurnCarrier,
			pages.State{MayChange: true, MayDisconnect: true},
			"[Australia Post's turn] Australia Post accepts no more requests for now\n" + notYours + "\nYour connection last worked yesterday, 1:20 pm." +
				"\nWe check it again in 5 minutes.\nAustralia Post asked us to wait. You can check again in 10 minutes.",
		},
		{
			"works", linked(),
			health.Breaker{},
			pages.ToneGood, pages.TurnNobody, works,
			"[Works] Connected. Last checked 12 minutes ago\nWe check it again in 5 minutes.",
		},
		{
			"works, checked when asked", linked(func(c *connection.Connection) { c.NextRefreshAt = time.Time{} }),
			health.Breaker{},
			pages.ToneGood, pages.TurnNobody, works,
			"[Works] Connected. Last checked 12 minutes ago\nWe check it when you ask us to.",
		},
		{
			"works, overdue", linked(func(c *connection.Connection) { c.NextRefreshAt = now }),
			health.Breaker{},
			pages.ToneGood, pages.TurnNobody, works,
			"[Works] Connected. Last checked 12 minutes ago\nThe next check is about to begin.",
		},
		{
			"works, the contract ends in 60 days", linked(func(c *connection.Connection) { c.ContractValidTo = "2027-05-13" }),
			health.Breaker{},
			pages.ToneGood, pages.TurnNobody, works,
			"[Works] Connected. Last checked 12 minutes ago\nWe check it again in 5 minutes.\nThe contract ends in 60 days, on 13 May 2027. Please ask your account manager at Australia Post to renew it.",
		},
		{
			"works, of StarTrack, the contract ends today", linked(func(c *connection.Connection) { c.Carrier, c.ContractValidTo = carrier.StarTrack, "2027-03-14" }),
			health.Breaker{},
			pages.ToneGood, pages.TurnNobody, works,
			"[Works] Connected. Last checked 12 minutes ago\nWe check it again in 5 minutes.\nThe contract ends today, on 14 Mar 2027. Please ask your account manager at Australia Post to renew it.",
		},
		{
			"works, the previous key is kept", linked(func(c *connection.Connection) {
				c.Previous = connection.PreviousCredentials{SecretVersion: "v", LastFour: "7c8d", Until: now.Add(time.Hour)}
			}),
			health.Breaker{},
			pages.ToneGood, pages.TurnNobody,
			pages.State{MayCheck: true, MayChange: true, MayDisconnect: true, MayRollBack: true},
			"[Works] Connected. Last checked 12 minutes ago\nWe check it again in 5 minutes.",
		},
		{
			"works, but the carrier fails others", linked(), open(), pages.ToneWait, pages.TurnCarrier, works,
			"[Australia Post's turn] Australia Post is having trouble\nAustralia Post began to have trouble 20 minutes ago, with everyone who uses it here, not just with you.\n" +
				"Your connection worked when we last checked it: 12 minutes ago. " + notYours,
		},
		{
			"works in the sandbox, which has no breaker", linked(func(c *connection.Connection) { c.Environment = carrier.Sandbox }), open(), pages.ToneGood, pages.TurnNobody, works,
			"[Works] Connected. Last checked 12 minutes ago\nWe check it again in 5 minutes.",
		},
		{
			"one refusal", linked(in(connection.Active, suspected(carrier.OutcomeUnauthorized), carrier.OutcomeUnauthorized)),
			health.Breaker{},
			pages.ToneNeutral, pages.TurnNobody, works,
			"[Nobody's turn yet] One check was refused. We look again in 5 minutes\nThat happens now and then, and often passes by itself. If it goes on, we will tell you here what to do.",
		},
		{
			"one refusal while the carrier fails others", linked(in(connection.Active, suspected(carrier.OutcomeForbidden), carrier.OutcomeForbidden)), open(), pages.ToneWait, pages.TurnCarrier, works,
			"[Australia Post's turn] One check was refused. We look again in 5 minutes\n" +
				"Australia Post began to have trouble 20 minutes ago, with everyone who uses it here, not just with you.\n" + notYours,
		},
		{
			"the answer of another account", linked(in(connection.Active, "", carrier.OutcomeNumberMismatch)),
			health.Breaker{},
			pages.ToneNeutral, pages.TurnNobody, works,
			"[Nobody's turn yet] One check brought the answer of another account. We look again in 5 minutes\n" +
				"That happens now and then, and often passes by itself. If it goes on, we will tell you here what to do.",
		},
		{
			"saved, not checked", linked(in(connection.PendingVerification, "unavailable", carrier.OutcomeUnavailable)),
			health.Breaker{},
			pages.ToneWait, pages.TurnCarrier, works,
			"[Australia Post's turn] Saved, not checked yet\nAustralia Post did not answer when we asked. Your details may well be right. You need not do anything.\nWe check it again in 5 minutes.",
		},
		{
			"saved, first check refused", linked(in(connection.PendingVerification, suspected(carrier.OutcomeUnauthorized), carrier.OutcomeUnauthorized)),
			health.Breaker{},
			pages.ToneNeutral, pages.TurnNobody, works,
			"[Nobody's turn yet] Saved, but the first check was refused. We look again in 5 minutes\nAustralia Post does not accept this API key and secret.\nIf something was mistyped, you can enter it again now.",
		},
		{
			"an outage", linked(in(connection.Degraded, "timeout", carrier.OutcomeTimeout)),
			health.Breaker{},
			pages.ToneWait, pages.TurnCarrier, works,
			"[Australia Post's turn] Australia Post isn't answering\n" + notYours + "\nYour connection last worked yesterday, 1:20 pm.\nWe check it again in 5 minutes.",
		},
		{
			"an outage for everyone", linked(in(connection.Degraded, "unavailable", carrier.OutcomeUnavailable)), open(), pages.ToneWait, pages.TurnCarrier, works,
			"[Australia Post's turn] Australia Post isn't answering\n" + notYours +
				"\nAustralia Post began to have trouble 20 minutes ago, with everyone who uses it here, not just with you.\n" +
				"Your connection last worked yesterday, 1:20 pm.\nWe check it again in 5 minutes.",
		},
		{
			"an answer that is our fault", linked(in(connection.Degraded, "unexpected_rejection", carrier.OutcomeUnexpected)),
			health.Breaker{},
			pages.ToneWait, pages.TurnUs, works,
			"[Our turn] Australia Post rejected the request for a reason that this service does not know\n" + notYours + "\nYour connection last worked yesterday, 1:20 pm.\nWe check it again in 5 minutes.",
		},
		{
			"the contract has ended", linked(in(connection.Restricted, connection.ReasonContractExpired, carrier.OutcomeOK), func(c *connection.Connection) {
				c.ContractExpired, c.ContractValidTo = true, "2027-02-28"
			}),
			health.Breaker{},
			pages.ToneAct, pages.TurnYou, works,
			"[Your turn, with Australia Post] The contract ended on 28 Feb 2027\n" +
				"Your key still works, and so does tracking. But Australia Post takes no new parcels on this account until this is sorted out.\nWe check it again in 5 minutes.\n" +
				"- Call your account manager at Australia Post, or 13 21 31.\n- Tell them your account number: 0000123400.\n- Once they have sorted it out, press Check now.",
		},
		{
			"the key is dead", linked(in(connection.ActionRequired, "unauthorized", carrier.OutcomeUnauthorized), func(c *connection.Connection) {
				c.Previous = connection.PreviousCredentials{SecretVersion: "v", LastFour: "7c8d", Until: now.Add(72 * time.Hour)}
			}),
			health.Breaker{},
			pages.ToneAct, pages.TurnYou,
			pages.State{MayCheck: true, MayChange: true, MayDisconnect: true, MayRollBack: true},
			"[Your turn] Australia Post no longer accepts this API key and secret\nIt last worked yesterday, 1:20 pm.\nWe check it again in 5 minutes.\n" +
				"You can go back to your previous key, which ends in 7c8d, until 17 Mar 2027.\n- Find out whether the key was replaced or cancelled in the developer centre; if so, enter the new key and its secret.\n" +
				"- In the developer centre open Projects, Services, turn on all switches and press Update: a new key works only then.\n" +
				"- Use a production key of the Shipping and Tracking API v1; test-bed, Postage Assessment and v2 keys look alike and do not work here.",
		},
		{
			"the key is dead, and then an outage", linked(in(connection.ActionRequired, "unknown_account", carrier.OutcomeTimeout)),
			health.Breaker{},
			pages.ToneAct, pages.TurnYou, works,
			"[Your turn] Australia Post does not find this account for the API key\nIt last worked yesterday, 1:20 pm.\nAt the latest check Australia Post did not answer.\nWe check it again in 5 minutes.\n" +
				"- Check the number: 10 digits for Australia Post, 8 for StarTrack, leading zeros included.\n- Check that it was connected as the right carrier.\n" +
				"- If they are right, call Australia Post on 13 21 31 or the account manager.",
		},
		{
			"we have lost the key", linked(in(connection.ActionRequired, "credentials_missing", carrier.OutcomeNoCredentials)),
			health.Breaker{},
			pages.ToneAct, pages.TurnUs, works,
			"[Our turn] This service no longer has your key and secret\nIt last worked yesterday, 1:20 pm.\nWe check it again in 5 minutes.\n- Ask Acme Ships for help.\n" +
				"- Enter your API key and secret again, and it works.",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := pages.StateOf(frame(), tc.c, tc.breaker)
			if got := said(s); got != tc.want {
				t.Errorf("StateOf says\n%s\nwant\n%s", got, tc.want)
			}
			may := pages.State{MayCheck: s.MayCheck, MayChange: s.MayChange, MayRollBack: s.MayRollBack, MayDisconnect: s.MayDisconnect, Reload: s.Reload}
			if s.Tone != tc.tone || s.Turn != tc.turn || said(may) != said(tc.may) || may.MayCheck != tc.may.MayCheck || may.MayChange != tc.may.MayChange ||
				may.MayRollBack != tc.may.MayRollBack || may.MayDisconnect != tc.may.MayDisconnect || may.Reload != tc.may.Reload {
				t.Errorf("StateOf = %s, turn %q, offers %+v, want %s, turn %q, %+v", s.Tone, s.Turn, may, tc.tone, tc.turn, tc.may)
			}
		})
	}
}

// TestNobodyIsBlamedForAnOutage: whatever the state, an outage is never the merchant's turn,
// and no state is without a chip and a headline. No text has words of the API.
func TestNobodyIsBlamedForAnOutage(t *testing.T) {
	statuses := []connection.Status{connection.PendingVerification, connection.Active, connection.Degraded, connection.Restricted, connection.ActionRequired}
	for _, status := range statuses {
		for _, o := range carrier.Outcomes() {
			for _, b := range []health.Breaker{{}, open()} {
				for _, reason := range []string{"", string(o), suspected(o), connection.ReasonCreditBlocked, connection.ReasonProductsExpired} {
					s := pages.StateOf(frame(), linked(in(status, reason, o)), b)
					yours := s.Turn == pages.TurnYou || s.Tone == pages.ToneAct
					if o.IsOutage() && yours && status != connection.Restricted && status != connection.ActionRequired {
						t.Errorf("%s, %s, %s: it is %q", status, o, reason, s.Chip)
					}
					if s.Works() && o != carrier.OutcomeOK && status != connection.Active {
						t.Errorf("%s, %s, %s: it works", status, o, reason)
					}
					checkWords(t, said(s))
				}
			}
		}
	}
}

// checkWords checks that a text is complete and has no words of the API.
func checkWords(t *testing.T, text string) {
	t.Helper()
	for _, word := range []string{"account_number", "api_key", "api_secret", "The carrier", "the carrier", "operator", "request id", "startrack", "australia_post", "..", "  ", "%!", "[]", "<nil>"} {
		if strings.Contains(text, word) {
			t.Errorf("%q has %q", text, word)
		}
	}
	if strings.HasSuffix(strings.Split(text, "\n")[0], "] ") {
		t.Errorf("%q has no headline", text)
	}
}

// TestProblemsInWords: every message that Preflight can make is one for a merchant.
func TestProblemsInWords(t *testing.T) {
	for _, name := range carrier.Names() {
		for _, number := range []string{"", "x", "123400", "0000123400", "04123456", "00001234000"} {
			for _, key := range []string{"", "****", "a b", "\"k\"", "0000123400", "k:s", "\u200bk", strings.Repeat("k", 300)} {
				in := connection.ChargeAccount{Carrier: name, Number: number, Credentials: credentials(key, "x")}
				_, problems := connection.Preflight(in)
				for _, p := range pages.SaidProblems(problems, name, "Acme Ships") {
					checkWords(t, p.Message)
				}
			}
		}
	}
	for _, o := range carrier.Outcomes() {
		if d := pages.Said(connection.Reading{Outcome: o}.Diagnosis(), carrier.StarTrack, ""); d != nil {
			checkWords(t, strings.Join(append(d.NextSteps, d.LikelyCause), "\n"))
		}
	}
	if pages.Said(nil, carrier.StarTrack, "") != nil || len(pages.SaidProblems(nil, carrier.StarTrack, "")) > 0 {
		t.Error("nothing becomes something")
	}
	twice := pages.SaidProblems(fault.List{fault.Missing("api_key")}, carrier.StarTrack, "")
	if twice[0].Message != "The API key is required." || twice[0].Field != "api_key" {
		t.Errorf("%q about %q", twice[0].Message, twice[0].Field)
	}
}

func credentials(key, text string) connection.Credentials {
	return connection.Credentials{APIKey: secret.New(key), APISecret: secret.New(text)}
}
