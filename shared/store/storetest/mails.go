package storetest

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/mail"
)

// sentMails tests RecordMail and SentMail.
type sentMails struct{ *suite }

func (s sentMails) sent(account int64, carrierID, id string, at time.Time) mail.Sent {
	return must(s.SentMail(s.Context(), account, carrierID, id, at))
}

func (s sentMails) TestByID() {
	account, at := s.id(), milli(now)
	s.equal("absent", s.sent(account, "", "m-1", now), mail.Sent{})
	sent := mail.Sent{ID: "m-1", Kind: mail.Reset, At: at}
	s.ok(s.RecordMail(s.Context(), account, "", sent))
	s.equal("sent", s.sent(account, "", "m-1", now), sent)
	s.equal("another id", s.sent(account, "", "m-2", now), mail.Sent{})
	s.equal("another account", s.sent(s.id(), "", "m-1", now), mail.Sent{})
	s.equal("a connection of that name", s.sent(account, "m-1", "m-1", now), mail.Sent{})
	s.equal("expired", s.sent(account, "", "m-1", now.Add(5*24*time.Hour)), mail.Sent{})
	again := mail.Sent{ID: "m-1", Kind: mail.Reset, At: at.Add(time.Minute)}
	s.ok(s.RecordMail(s.Context(), account, "", again))
	s.equal("sent twice", s.sent(account, "", "m-1", now), again)
}

func (s sentMails) TestPartnerWithoutSettings() {
	id := s.id()
	_, _, err := s.PartnerWithSettings(s.Context(), id)
	s.fails("absent", err, fault.NotFound)
	s.ok(s.CreatePartner(s.Context(), account.Partner{ID: id, Name: "Acme"}, account.APIKey{ID: s.id(), PartnerID: id, Hash: s.hash()}, effects.Effects{}, now))
	p, settings, err := s.PartnerWithSettings(s.Context(), id)
	s.ok(err)
	s.equal("name", p.Name, "Acme")
	s.equal("settings", settings, account.Settings{})
}

func (s sentMails) TestLatestOfAConnection() {
	account, at := s.id(), milli(now)
	first, later := mail.Sent{ID: "e-2", Kind: mail.CarrierNeedsYou, At: at}, mail.Sent{ID: "e-1", Kind: mail.CarrierWorks, At: at.Add(time.Hour)}
	s.ok(s.RecordMail(s.Context(), account, "se-1", first))
	s.equal("by any id", s.sent(account, "se-1", "e-1", now), first)
	s.ok(s.RecordMail(s.Context(), account, "se-1", later))
	s.ok(s.RecordMail(s.Context(), account, "se-1", first)) // of a process that was slow
	s.equal("the later one stays", s.sent(account, "se-1", "e-9", now), later)
	s.equal("another connection's", s.sent(account, "se-2", "e-1", now), mail.Sent{})
	s.equal("after a year", s.sent(account, "se-1", "e-1", at.Add(365*24*time.Hour)), later)
	s.equal("expired", s.sent(account, "se-1", "e-1", at.Add(401*24*time.Hour+time.Hour)), mail.Sent{})
}
