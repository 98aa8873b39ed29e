package pages

import (
	"fmt"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// Turn is who has to do something about a connection.
type Turn string

// The turns.
const (
	TurnNobody  Turn = ""
	TurnYou     Turn = "you"
	TurnCarrier Turn = "carrier"
	TurnPartner Turn = "partner"
	TurnUs      Turn = "us"
)

// State is how a connection is, in words for its owner, and what its page offers.
type State struct {
	Tone        Tone
	Turn        Turn
	Chip        string   // whose turn it is, in a few words
	Headline    string   // how it is, in a sentence
	Explanation []string // sentences
	Steps       []string // what to do, in order
	DocURL      string   // the carrier's own page about it; empty for none

	MayCheck, MayChange, MayRollBack, MayDisconnect bool
	Reload                                          bool // it changes within seconds
}

// Works reports whether nobody has to do or to wait for anything.
func (s *State) Works() bool { return s.Tone == ToneGood }

// StateOf returns the state of a visible connection. b is the breaker of its carrier; it does
// not matter to sandbox connections, which call no carrier.
func StateOf(f Frame, c *connection.Connection, b health.Breaker) State {
	if c.Environment == carrier.Sandbox {
		b = health.Breaker{}
	}
	w := stating{f, c, b, c.Carrier.FriendlyName()}
	switch {
	case c.ShownStatus() != c.Status:
		return w.paused()
	case c.Work != connection.NoWork && c.LeaseUntil.After(f.Now):
		return w.busy()
	}
	s := w.byStatus()
	s.MayCheck, s.MayChange, s.MayDisconnect, s.MayRollBack = true, true, true, c.Previous.Available(f.Now)
	switch {
	case c.LeaseUntil.After(f.Now):
		s.MayCheck, s.Reload = false, true
		s.Explanation = append(s.Explanation, "We are checking it right now. Reload this page in a few seconds.")
	case c.Held(f.Now) != nil:
		s.MayCheck = false
		s.Explanation = append(s.Explanation, w.name+" asked us to wait. You can check again "+w.at(c.HeldUntil)+".")
	}
	return s
}

// stating is what a state is made from.
type stating struct {
	Frame
	c    *connection.Connection
	b    health.Breaker
	name string // of the carrier
}

func (w stating) byStatus() State {
	switch w.c.Status {
	case connection.PendingVerification:
		return w.pending()
	case connection.Degraded:
		return w.degraded()
	case connection.Restricted:
		return w.restricted()
	case connection.ActionRequired:
		return w.actionRequired()
	case connection.Active, connection.Linking, connection.Disconnected: // the last two have no page
	}
	return w.active()
}

// at says when a time is.
func (w stating) at(t time.Time) string { return Words(w.Now, t, w.zone()) }

// partner names the partner.
func (w stating) partner() string {
	if w.Partner == "" {
		return "your platform"
	}
	return w.Partner
}

// nextCheck says when the connection is checked next.
func (w stating) nextCheck() string {
	switch next := w.c.NextRefreshAt; {
	case next.IsZero():
		return "We check it when you ask us to."
	case !next.After(w.Now):
		return "The next check is about to begin."
	default:
		return "We check it again " + w.at(next) + "."
	}
}

func (w stating) paused() State {
	return State{
		Tone: ToneNeutral, Turn: TurnPartner, Chip: possessive(w.partner()) + " turn", Headline: "Switched off",
		Explanation: []string{
			"Your account at " + w.partner() + " is switched off, so we do not use this carrier account.",
			"Please ask " + w.partner() + " to switch it on again. Nothing is lost.",
		},
	}
}

func (w stating) busy() State {
	wait := count(max(1, int((w.c.LeaseUntil.Sub(w.Now)+time.Second-1)/time.Second)), "second")
	return State{
		Tone: ToneWait, Chip: "Wait", Headline: "A change is being made", Reload: true,
		Explanation: []string{"That usually takes a few seconds, and at most " + wait + ". Then reload this page."},
	}
}

func (w stating) active() State {
	last := w.c.LastCheck
	switch {
	case w.c.Suspects():
		return w.doubted("One check was refused.")
	case w.b.Open:
		return w.trouble()
	case last.Outcome == carrier.OutcomeNumberMismatch:
		s := w.doubted("One check brought the answer of another account.")
		s.Steps = nil
		return s
	}
	s := State{Tone: ToneGood, Chip: "Works", Headline: "Connected. Last checked " + w.at(last.At), Explanation: []string{w.nextCheck()}}
	if ends := ContractEnds(w.Frame, w.c, 60); ends != "" {
		s.Explanation = append(s.Explanation, ends)
	}
	return s
}

// doubted is a refusal that may be the carrier's mistake.
func (w stating) doubted(what string) State {
	s := State{
		Tone: ToneNeutral, Chip: "Nobody's turn yet", Headline: what + " " + w.lookAgain(),
		Explanation: []string{"That happens now and then, and often passes by itself. If it goes on, we will tell you here what to do."},
	}
	if w.b.Open {
		s.Tone, s.Turn, s.Chip = ToneWait, TurnCarrier, possessive(w.name)+" turn"
		s.Explanation = []string{w.everybody(), notYourKey}
	}
	return s
}

func (w stating) lookAgain() string {
	if next := w.c.NextRefreshAt; next.After(w.Now) {
		return "We look again " + w.at(next)
	}
	return "We look again soon"
}

const notYourKey = "Your key is not the problem. You need not do anything."

// everybody says that the carrier has trouble with all accounts.
func (w stating) everybody() string {
	return fmt.Sprintf("%s began to have trouble %s, with everyone who uses it here, not just with you.", w.name, w.at(w.b.ChangedAt))
}

// trouble is a connection that worked when it was checked, while the carrier fails others.
func (w stating) trouble() State {
	return State{
		Tone: ToneWait, Turn: TurnCarrier, Chip: possessive(w.name) + " turn", Headline: w.name + " is having trouble",
		Explanation: []string{w.everybody(), "Your connection worked when we last checked it: " + w.at(w.c.LastCheck.At) + ". " + notYourKey},
	}
}

func (w stating) pending() State {
	if w.c.Suspects() {
		s := w.doubted("Saved, but the first check was refused.")
		if !w.b.Open {
			s.Explanation = append(w.causes(), "If something was mistyped, you can enter it again now.")
		}
		return s
	}
	s := w.waiting("Saved, not checked yet")
	s.Explanation = []string{
		w.name + " did not answer when we asked. Your details may well be right. You need not do anything.", w.nextCheck(),
	}
	return s
}

func (w stating) degraded() State {
	if w.c.Suspects() {
		return w.doubted("One check was refused.")
	}
	d := w.c.Diagnosis()
	headline := w.name + " isn't answering"
	if d != nil && d.Category != "carrier_unavailable" && d.Category != "carrier_timeout" {
		headline = strings.TrimSuffix(w.say(d.LikelyCause), ".")
	}
	s := w.waiting(headline)
	s.Explanation = []string{notYourKey}
	if w.b.Open {
		s.Explanation = append(s.Explanation, w.everybody())
	}
	if !w.c.VerifiedAt.IsZero() {
		s.Explanation = append(s.Explanation, "Your connection last worked "+w.at(w.c.VerifiedAt)+".")
	}
	s.Explanation = append(s.Explanation, w.nextCheck())
	return s
}

// waiting is a state in which the merchant has to do nothing.
func (w stating) waiting(headline string) State {
	s := State{Tone: ToneWait, Turn: TurnCarrier, Chip: possessive(w.name) + " turn", Headline: headline}
	if d := w.c.Diagnosis(); d != nil {
		switch d.WhoMustAct {
		case fault.Partner:
			s.Turn, s.Chip = TurnPartner, possessive(w.partner())+" turn"
		case fault.Us:
			s.Turn, s.Chip = TurnUs, "Our turn"
		case fault.Carrier, fault.Merchant:
		}
	}
	return s
}

func (w stating) restricted() State {
	s := State{Tone: ToneAct, Turn: TurnYou, Chip: "Your turn, with " + w.name}
	switch w.c.StatusReason {
	case connection.ReasonCreditBlocked:
		s.Headline = w.name + " has blocked the credit of this account"
	case connection.ReasonProductsExpired:
		s.Headline = "No product of the contract is valid any more"
	default:
		s.Headline = "The contract has ended"
		if _, ok := connection.DaysUntil(w.c.ContractValidTo, w.Now); ok {
			s.Headline = "The contract ended on " + DayWords(w.c.ContractValidTo)
		}
	}
	s.Explanation = []string{"Your key still works, and so does tracking. But " + w.name + " takes no new parcels on this account until this is sorted out.", w.nextCheck()}
	s.Steps = []string{
		"Call your account manager at Australia Post, or 13 21 31.",
		"Tell them your account number: " + w.c.AccountNumber + ".",
		"Once they have sorted it out, press Check now.",
	}
	return s
}

func (w stating) actionRequired() State {
	s := State{Tone: ToneAct, Turn: TurnYou, Chip: "Your turn", Headline: w.name + " does not accept this connection any more"}
	if d := w.c.Diagnosis(); d != nil {
		s.Headline, s.Steps, s.DocURL = strings.TrimSuffix(w.say(d.LikelyCause), "."), w.sayAll(d.NextSteps), d.DocURL
		if d.WhoMustAct == fault.Us {
			s.Turn, s.Chip = TurnUs, "Our turn"
		}
	}
	if !w.c.VerifiedAt.IsZero() {
		s.Explanation = append(s.Explanation, "It last worked "+w.at(w.c.VerifiedAt)+".")
	}
	if w.c.LastCheck.Outcome.IsOutage() && w.c.LastCheck.Outcome != "" {
		s.Explanation = append(s.Explanation, "At the latest check "+w.name+" did not answer.")
	}
	s.Explanation = append(s.Explanation, w.nextCheck())
	if w.c.Previous.Available(w.Now) {
		s.Explanation = append(s.Explanation, "You can go back to your previous key, which ends in "+w.c.Previous.LastFour+", until "+
			w.c.Previous.Until.In(w.zone()).Format(dateLayout)+".")
	}
	return s
}

// causes has the likely cause, if one is known.
func (w stating) causes() []string {
	if d := w.c.Diagnosis(); d != nil {
		return []string{w.say(d.LikelyCause)}
	}
	return nil
}

func (w stating) say(text string) string { return Say(text, w.c.Carrier, w.partner()) }

func (w stating) sayAll(texts []string) []string {
	said := make([]string, len(texts))
	for i, t := range texts {
		said[i] = w.say(t)
	}
	return said
}

// ContractEnds says that the contract of a connection ends within so many days; empty if it
// does not, or has ended.
func ContractEnds(f Frame, c *connection.Connection, within int) string {
	days, ok := connection.DaysUntil(c.ContractValidTo, f.Now)
	if !ok || days < 0 || days > within || c.ContractExpired {
		return ""
	}
	when := "in " + count(days, "day")
	switch days {
	case 0:
		when = "today"
	case 1:
		when = "tomorrow"
	}
	return fmt.Sprintf("The contract ends %s, on %s. Please ask your account manager at Australia Post to renew it.", when, DayWords(c.ContractValidTo))
}

// Say turns a sentence of the API, such as one of a fault.Diagnosis, into one for a merchant:
// with the names of the carrier and the fields as the page shows them, and with whom to ask.
func Say(text string, name carrier.Name, partner string) string {
	if partner == "" {
		partner = "your platform"
	}
	own := name.FriendlyName()
	said := strings.NewReplacer(
		"Tell the operator of this service the request id.", "Ask "+partner+" for help.",
		"tell the operator of this service the request id.", "ask "+partner+" for help.",
		"The carrier's", possessive(own), "the carrier's", possessive(own), "The carrier ", own+" ", "the carrier ", own+" ",
		"connect it as startrack", "link it as StarTrack", "Connect it as startrack", "Link it as StarTrack",
		"connect it as australia_post", "link it as Australia Post", "Connect it as australia_post", "Link it as Australia Post",
		"the credentials were not refused", "your key was not refused", "v2 credentials", "v2 keys",
		"holds the credentials of the connection", "has your key and secret",
		"Giving the connection its API key and secret again makes it work.", "Enter your API key and secret again, and it works.",
		"account_number", "the account number", "api_key", "the API key", "api_secret", "the API secret", "nickname", "the name",
		"charge account number", "account number", "charge account", "account",
	).Replace(text)
	return strings.ToUpper(said[:min(1, len(said))]) + said[min(1, len(said)):]
}

// possessive returns "Acme's", "Acme Ships'".
func possessive(name string) string {
	if strings.HasSuffix(name, "s") {
		return name + "'"
	}
	return name + "'s"
}
