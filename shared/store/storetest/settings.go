package storetest

import (
	"slices"
	"sync"
	"sync/atomic"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// partnerSettings tests Settings and SaveSettings, and the other reads of settings.
type partnerSettings struct{ *suite }

// fullSettings are settings with every field.
func fullSettings() account.Settings {
	return account.Settings{
		DisplayName: "Acme Shops", SupportEmail: "help@acme.example", SupportURL: "https://acme.example/help", AccentColor: "#0b5cad",
		ReturnURLs: []string{"https://app.acme.example/b", "https://app.acme.example/a"}, Version: 1,
	}
}

func (s partnerSettings) save(partnerID int64, old, next account.Settings, fx ...effects.Effects) error {
	return s.SaveSettings(s.Context(), partnerID, old, next, append(fx, effects.Effects{})[0], now)
}

func (s partnerSettings) TestSaved() {
	p, _ := s.partner()
	read := func() account.Settings { return must(s.Settings(s.Context(), p.ID)) }
	s.equal("nothing is set", read(), account.Settings{})
	full := fullSettings()
	s.ok(s.save(p.ID, account.Settings{}, full))
	s.equal("saved", read(), full)
	s.equal("another partner's", must(s.Settings(s.Context(), s.id())), account.Settings{})
	_, settings, err := s.PartnerWithSettings(s.Context(), p.ID)
	s.ok(err)
	s.equal("with the partner", settings, full)
	a := s.merchant(func(a *account.Account) { a.PartnerID = p.ID })
	session := s.started(a)
	s.equal("of a visit", must(s.Visit(s.Context(), session.Ref(), p.ID, "", now)).Settings, full)

	s.fails("created twice", s.save(p.ID, account.Settings{}, full), fault.Precondition)
	one := account.Settings{AccentColor: "#000000", Version: 2}
	s.ok(s.save(p.ID, full, one))
	s.equal("replaced", read(), one)
	s.fails("an old version", s.save(p.ID, full, account.Settings{DisplayName: "Old", Version: 2}), fault.Precondition)
	s.equal("after a refusal", read(), one)
	none := account.Settings{Version: 3}
	s.ok(s.save(p.ID, one, none))
	s.equal("nothing is set any more", read(), none)
}

// TestUnchanged: settings of the same version are not written, but the answer is kept, once.
func (s partnerSettings) TestUnchanged() {
	id, full := s.id(), fullSettings()
	s.ok(s.save(id, account.Settings{}, full))
	s.ok(s.save(id, full, full))
	fx := effects.Effects{Answer: s.answer()}
	s.ok(s.save(id, full, full, fx))
	s.keeps("unchanged", *fx.Answer, true)
	s.replays("again", s.save(id, full, full, fx), *fx.Answer)
	s.equal("settings", must(s.Settings(s.Context(), id)), full)
}

// TestConcurrent: of concurrent replacements of one version one is made.
func (s partnerSettings) TestConcurrent() {
	id, names := s.id(), []string{"A", "B", "C", "D", "E", "F", "G", "H"}
	var made atomic.Int64
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			switch err := s.save(id, account.Settings{}, account.Settings{DisplayName: name, Version: 1}); {
			case err == nil:
				made.Add(1)
			case !fault.Is(err, fault.Precondition) && !fault.Is(err, fault.State):
				s.Errorf("SaveSettings = %v", err)
			}
		})
	}
	all.Wait()
	s.equal("replacements", made.Load(), int64(1))
	if got := must(s.Settings(s.Context(), id)); got.Version != 1 || !slices.Contains(names, got.DisplayName) {
		s.Errorf("settings = %+v", got)
	}
}
