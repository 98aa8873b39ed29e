package pagestest

import (
	"fmt"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/pages"
	"carrierlink/shared/parcel"
	"carrierlink/shared/tracking"
)

// linked is a connection that works.
func linked(edit ...func(*connection.Connection)) *connection.Connection {
	c := &connection.Connection{
		ID: "se-0000000000000001", AccountID: 71, PartnerID: 5, Environment: carrier.Production, Carrier: carrier.AustraliaPost, AccountNumber: "0000123400",
		Nickname: "Main warehouse", Status: connection.Active, Standing: account.StandingActive, APIKeyLastFour: "9dd1",
		LastCheck: connection.Check{
			At: Now().Add(-12 * time.Minute), Outcome: carrier.OutcomeOK, Latency: 400 * time.Millisecond, Trigger: connection.TriggerSchedule,
		},
		VerifiedAt: Now().Add(-12 * time.Minute), NextRefreshAt: Now().Add(5 * time.Minute), RefreshPolicy: connection.RefreshDaily,
		CredentialsUpdatedAt: Now().AddDate(0, -2, 0), CreatedAt: Now().AddDate(0, -3, 0), ContractValidTo: "2027-04-04",
	}
	for _, e := range edit {
		e(c)
	}
	return c
}

// in puts a connection in a status for a reason, with the outcome of its last check.
func in(status connection.Status, reason string, last carrier.Outcome) func(*connection.Connection) {
	return func(c *connection.Connection) {
		c.Status, c.StatusReason, c.LastCheck.Outcome, c.VerifiedAt = status, reason, last, Now().Add(-26*time.Hour)
		if status == connection.PendingVerification {
			c.VerifiedAt = time.Time{}
		}
	}
}

// previous gives a connection a previous key.
func previous(c *connection.Connection) {
	c.Previous = connection.PreviousCredentials{SecretVersion: "v", AccountNumber: "0000123400", LastFour: "7c8d", Until: Now().AddDate(0, 0, 12)}
}

func open() health.Breaker {
	return health.Breaker{Carrier: carrier.AustraliaPost, Open: true, Failure: "outage", ChangedAt: Now().Add(-20 * time.Minute)}
}

// history are the checks of so many hours, the latest first; each is what outcome says of its
// number from the latest.
func history(hours int, outcome func(n int) carrier.Outcome) []connection.HistoryEntry {
	var all []connection.HistoryEntry
	for n := range hours {
		all = append(all, connection.HistoryEntry{Number: hours - n, Status: connection.Active, Check: connection.Check{
			At: Now().Add(-time.Duration(n) * time.Hour), Outcome: outcome(n), Trigger: connection.TriggerSchedule, Latency: time.Duration(300+n*37%900) * time.Millisecond,
		}})
	}
	return all
}

func fine(int) carrier.Outcome { return carrier.OutcomeOK }

// troubled had an outage five days ago and was refused today.
func troubled(n int) carrier.Outcome {
	switch {
	case n < 3:
		return carrier.OutcomeUnauthorized
	case n > 115 && n < 125:
		return carrier.OutcomeUnavailable
	}
	return carrier.OutcomeOK
}

// contract has n products; the first ends today, the second never, the third has ended.
func contract(n int) *connection.Contract {
	c := &connection.Contract{
		AccountNumber: "0000123400", Name: "COASTLINE HOMEWARES P/L", Suburb: "DANDENONG SOUTH", State: "VIC", ABNLastThree: "901", ValidFrom: "2025-03-01", ValidTo: "2027-04-04",
	}
	for i := range n {
		p := connection.Product{ID: fmt.Sprintf("7D%02d", i), Type: "PARCEL POST + SIGNATURE", Group: "PARCEL POST", ValidTo: "2028-06-30"}
		switch i {
		case 0:
			p.ValidTo = "2027-03-14"
		case 1:
			p.ValidTo, p.Type = "2999-12-31", strings.Repeat("W", 50)
		case 2:
			p.ValidTo, p.Expired = "2026-06-30", true
		}
		c.Products = append(c.Products, p)
	}
	return c
}

// connections are the pages of a connection in each of its states.
func connections() []Fixture {
	var all []Fixture
	for _, s := range []struct {
		name     string
		c        *connection.Connection
		b        health.Breaker
		history  []connection.HistoryEntry
		contract *connection.Contract
	}{
		{"works", linked(), health.Breaker{}, history(2160, fine), contract(4)},
		{"one-refusal", linked(in(connection.Active, "unauthorized_suspected", carrier.OutcomeUnauthorized)), health.Breaker{}, history(24*20, troubled), contract(1)},
		{"outage", linked(in(connection.Degraded, "unavailable", carrier.OutcomeUnavailable)), health.Breaker{}, history(24*40, func(n int) carrier.Outcome {
			if n < 26 {
				return carrier.OutcomeUnavailable
			}
			return carrier.OutcomeOK
		}), contract(3)},
		{"outage-of-all", linked(in(connection.Degraded, "timeout", carrier.OutcomeTimeout)), open(), history(24, fine), contract(3)},
		{"restricted", linked(in(connection.Restricted, connection.ReasonContractExpired, carrier.OutcomeOK), func(c *connection.Connection) {
			c.ContractExpired, c.ContractValidTo = true, "2027-02-28"
		}), health.Breaker{}, history(24*60, fine), contract(0)},
		{"your-turn", linked(in(connection.ActionRequired, "unauthorized", carrier.OutcomeUnauthorized), previous), health.Breaker{}, history(24*90, troubled), contract(60)},
		{"saved", linked(in(connection.PendingVerification, "unavailable", carrier.OutcomeUnavailable)), health.Breaker{}, history(1, func(int) carrier.Outcome { return carrier.OutcomeUnavailable }), nil},
		{"paused", linked(func(c *connection.Connection) { c.Standing = account.StandingPaused }), health.Breaker{}, nil, contract(2)},
		{"being-changed", linked(func(c *connection.Connection) {
			c.Work, c.LeaseUntil = connection.WorkCredentials, Now().Add(8*time.Second)
		}), health.Breaker{}, history(48, fine), contract(2)},
	} {
		f := frame(pages.NavCarriers).Titled(s.c.Nickname)
		all = append(all, Fixture{"connection-" + s.name, pages.Connection(pages.ConnectionPage{
			Frame: f, Connection: s.c, State: pages.StateOf(f, s.c, s.b), FormID: "f", Contract: s.contract, History: s.history, MayReveal: true,
		})})
	}
	long := linked(func(c *connection.Connection) { c.Nickname = longNickname })
	f := crowded(pages.NavCarriers).Titled(longNickname)
	return append(all, Fixture{"connection-crowded", pages.Connection(pages.ConnectionPage{
		Frame: f, Connection: long, State: pages.StateOf(f, long, health.Breaker{}), FormID: "f", NoContract: true, NoHistory: true, OwnerOnly: true,
	})})
}

// line is a connection in a list.
func line(f pages.Frame, c *connection.Connection) pages.CarrierLine {
	return pages.CarrierLine{Connection: *c, State: pages.StateOf(f, c, health.Breaker{})}
}

// lists are the overview and the list of carriers.
func lists() []Fixture {
	f, l := frame(pages.NavOverview).Titled("Overview"), frame(pages.NavCarriers).Titled("Carriers")
	dead := linked(in(connection.ActionRequired, "unauthorized", carrier.OutcomeUnauthorized), func(c *connection.Connection) {
		c.ID, c.Nickname, c.ContractValidTo = "se-0000000000000002", "Old store", "2999-12-31"
	})
	down := linked(in(connection.Degraded, "timeout", carrier.OutcomeTimeout), func(c *connection.Connection) {
		c.ID, c.Nickname, c.Carrier, c.AccountNumber = "se-0000000000000003", longNickname, carrier.StarTrack, "04123456"
	})
	all := []pages.CarrierLine{line(f, linked()), line(f, dead), line(f, down)}
	var parcels []parcel.Parcel
	for i, status := range []tracking.Status{tracking.InTransit, tracking.NotYet, tracking.Accepted, tracking.Attempted, tracking.Collection, tracking.Exception} {
		parcels = append(parcels, parcel.Parcel{Carrier: carrier.AustraliaPost, Number: fmt.Sprintf("36ZZ4503223%d", i), Status: status, RegisteredAt: Now().Add(-time.Duration(i*i) * 5 * time.Hour)})
	}
	keys := []account.APIKey{{LastFour: "x7Qd", Description: "Web shop", ExpiresAt: Now().AddDate(0, 0, 9)}}
	full := f
	full.Done = pages.DoneAccountChanged
	return []Fixture{
		{"overview-empty", pages.Overview(pages.OverviewPage{Frame: f})},
		{"overview-works", pages.Overview(pages.OverviewPage{Frame: full, Carriers: all[:1], Parcels: parcels, MoreParcels: true})},
		{"overview-your-turn", pages.Overview(pages.OverviewPage{Frame: f, Carriers: all, Keys: keys, Parcels: parcels[:2]})},
		{"overview-without-table", pages.Overview(pages.OverviewPage{Frame: crowded(pages.NavOverview).Titled("Overview"), NoCarriers: true, NoKeys: true, NoParcels: true})},
		{"carriers-empty", pages.Carriers(pages.CarriersPage{Frame: l})},
		{"carriers", pages.Carriers(pages.CarriersPage{Frame: l, Carriers: all})},
	}
}

// diagnosisOf is what a merchant is told of an outcome.
func diagnosisOf(o carrier.Outcome) *fault.Diagnosis {
	return pages.Said(connection.Reading{Outcome: o}.Diagnosis(), carrier.AustraliaPost, "Acme Ships")
}

// forms are the forms about connections.
func forms() []Fixture {
	const link = "Link Australia Post"
	f := frame(pages.NavCarriers).Titled(link)
	values := pages.Submitted{"nickname": {"Main warehouse"}, "account_number": {"0000123450"}}
	_, wrong := connection.Preflight(connection.ChargeAccount{Carrier: carrier.AustraliaPost, Number: "123450"})
	mistaken := f
	mistaken.Problems = pages.SaidProblems(wrong, carrier.AustraliaPost, "Acme Ships")
	dead, down := diagnosisOf(carrier.OutcomeUnauthorized), diagnosisOf(carrier.OutcomeTimeout)
	failed := func(f pages.Frame, d *fault.Diagnosis) pages.Frame {
		f.Problems = fault.ListOf(fault.New(fault.Invalid, "%s", d.LikelyCause))
		return f
	}
	c := linked(previous)
	taken := f
	taken.Problems = fault.ListOf(pages.ErrLinkedAlready())
	change := pages.Submitted{"nickname": {c.Nickname}, "account_number": {c.AccountNumber}}
	return []Fixture{
		{"link", pages.LinkCarrier(pages.LinkPage{Frame: f, Carrier: carrier.AustraliaPost, FormID: "f"})},
		{"link-startrack", pages.LinkCarrier(pages.LinkPage{Frame: f.Titled("Link StarTrack"), Carrier: carrier.StarTrack, FormID: "f"})},
		{"link-mistaken", pages.LinkCarrier(pages.LinkPage{Frame: mistaken, Carrier: carrier.AustraliaPost, FormID: "f", Values: pages.Submitted{"account_number": {"123450"}}})},
		{"link-refused", pages.LinkCarrier(pages.LinkPage{Frame: failed(f, dead), Carrier: carrier.AustraliaPost, FormID: "f", Values: values, Refused: dead})},
		{"link-outage", pages.LinkCarrier(pages.LinkPage{Frame: f, Carrier: carrier.AustraliaPost, FormID: "f", Values: values, Refused: down, Kept: "1773462000.c2VhbGVk"})},
		{"link-taken", pages.LinkCarrier(pages.LinkPage{Frame: taken, Carrier: carrier.AustraliaPost, FormID: "f", Values: values, Existing: c.ID})},
		{"link-working", pages.StillWorking(f, "/portal/carriers")},
		{"change", pages.ChangeCarrier(pages.ChangePage{Frame: f.Titled("Change your Australia Post account"), Connection: c, FormID: "f", Values: change})},
		{"change-refused", pages.ChangeCarrier(pages.ChangePage{Frame: failed(f, dead).Titled("Change your Australia Post account"), Connection: c, FormID: "f", Values: change, Refused: dead})},
		{"rollback", pages.Rollback(pages.RollbackPage{Frame: f.Titled("Go back to the previous key"), Connection: c, FormID: "f"})},
		{"rollback-refused", pages.Rollback(pages.RollbackPage{Frame: failed(f, dead).Titled("Go back to the previous key"), Connection: c, FormID: "f", Refused: dead})},
		{"disconnect", pages.Disconnect(pages.DisconnectPage{Frame: f.Titled("Disconnect this account?"), Connection: c, FormID: "f"})},
		{"revealed", pages.Revealed(pages.RevealedPage{Frame: f.Titled("Key and secret"), Connection: c, APIKey: "11111111-2222-4333-8444-555555555555", APISecret: "x0123456789abcdef012"})},
	}
}

// timelines are what has happened to a connection.
func timelines() []Fixture {
	f, c := frame(pages.NavCarriers).Titled("What has happened"), linked()
	var entries []pages.TimelineEntry
	for _, e := range history(6, troubled) {
		entries = append(entries, pages.EntryOfCheck(c.Carrier, e))
	}
	check := history(1, fine)[0]
	check.Changes = []connection.Difference{
		{Type: connection.ChangedValidTo, From: "2027-04-04", To: "2028-04-04"},
		{Type: connection.ProductAdded, ProductID: "7D55", To: "PARCEL POST + SIGNATURE"},
		{Type: connection.ChangedField, Field: "details.lodgement_postcode"},
	}
	entries = append(entries, pages.EntryOfCheck(c.Carrier, check))
	for i, t := range effects.AuditTypes() {
		if !strings.HasPrefix(string(t), "carrier_") && t != effects.SecretRead && t != effects.SecretShown {
			continue
		}
		by := effects.By{Actor: effects.Actors()[i%len(effects.Actors())]}
		entries = append(entries, pages.EntryOfEvent(f, c.Carrier, effects.Recorded{By: by, Event: effects.Event{
			Type: t, At: Now().AddDate(0, 0, -i), Data: []byte(`{"changed":["nickname","credentials"],"valid_to":"2027-04-04","expires_in_days":21,"reason":"schedule","reads":24}`),
		}}))
	}
	wrong := f
	wrong.Problems = fault.ListOf(pages.ErrNoDate("from"))
	return []Fixture{
		{"timeline", pages.Timeline(pages.TimelinePage{Frame: f, Connection: c, Kind: pages.KindAll, Entries: entries, Older: map[string][]string{"after": {"x.y"}}})},
		{"timeline-nothing", pages.Timeline(pages.TimelinePage{Frame: wrong, Connection: c, Kind: pages.KindKey})},
		{"timeline-without-table", pages.Timeline(pages.TimelinePage{Frame: f, Connection: c, Kind: pages.KindAll, NoChecks: true, NoEvents: true})},
	}
}

// carriers are the pages about carriers.
func carriers() []Fixture {
	var all []Fixture
	for _, some := range [][]Fixture{lists(), connections(), forms(), timelines()} {
		all = append(all, some...)
	}
	return all
}
