package pages

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
)

// Kind is a kind of entry of a timeline.
type Kind string

// The kinds. KindAll has all but the uses of the key, which are many.
const (
	KindAll     Kind = "all"
	KindChecks  Kind = "checks"
	KindChanges Kind = "changes" // what people did
	KindNews    Kind = "news"    // what became of the connection
	KindKey     Kind = "key"     // who has read or seen the key
)

// ParseKind returns the kind of a query; KindAll for another text.
func ParseKind(text string) Kind {
	switch k := Kind(text); k {
	case KindChecks, KindChanges, KindNews, KindKey:
		return k
	case KindAll:
	}
	return KindAll
}

// Events returns the types of the events of a kind; none for KindChecks.
func (k Kind) Events() []effects.EventType {
	changes := []effects.EventType{effects.CarrierConnected, effects.CarrierUpdated, effects.CarrierRolledBack, effects.CarrierDisconnected}
	news := []effects.EventType{
		effects.CarrierDegraded, effects.CarrierActionRequired, effects.CarrierRestricted, effects.CarrierRecovered,
		effects.CarrierAccountChanged, effects.CarrierContractExpiring, effects.CarrierCreditBlocked,
	}
	switch k {
	case KindChecks:
		return nil
	case KindChanges:
		return changes
	case KindNews:
		return news
	case KindKey:
		return []effects.EventType{effects.SecretRead, effects.SecretShown}
	case KindAll:
	}
	return append(append(changes, news...), effects.SecretShown)
}

// Checks reports whether the kind has checks.
func (k Kind) Checks() bool { return k == KindAll || k == KindChecks }

// TimelinePage is what has happened to a connection, the latest first.
type TimelinePage struct {
	Frame      Frame
	Connection *connection.Connection
	Kind       Kind
	From, To   string // dates of the filter, YYYY-MM-DD; empty: open
	Entries    []TimelineEntry
	Older      url.Values // the query of the next page; nil: this is the last one
	// What could not be read. The page shows the rest.
	NoChecks, NoEvents bool
}

func (p *TimelinePage) frame() Frame {
	f := p.Frame
	f.failed = p.NoChecks || p.NoEvents
	return f
}

// filtered reports whether a part was asked for; the filters are open then.
func (p *TimelinePage) filtered() bool {
	return p.Kind != KindAll || p.From != "" || p.To != "" || len(p.Frame.Problems) > 0
}

// TimelineEntry is one thing that has happened.
type TimelineEntry struct {
	At      time.Time
	Tone    Tone
	What    string
	Details []string
	Who     string
}

func kindOptions() []Option {
	return []Option{
		{string(KindAll), "Everything"},
		{string(KindChecks), "Checks"},
		{string(KindChanges), "Changes by people"},
		{string(KindNews), "What became of it"},
		{string(KindKey), "Uses of the key"},
	}
}

// EntryOfCheck returns the entry of a check.
func EntryOfCheck(name carrier.Name, e connection.HistoryEntry) TimelineEntry {
	entry := TimelineEntry{At: e.At, Tone: ToneGood, What: "Checked: it works", Who: checker(e.Trigger)}
	own := name.FriendlyName()
	switch {
	case e.Outcome == carrier.OutcomeNumberMismatch:
		entry.Tone, entry.What = ToneNeutral, "Checked: the answer was about another account"
	case e.Outcome == carrier.OutcomeRateLimited:
		entry.Tone, entry.What = ToneWait, "Checked: "+own+" took no more requests"
	case e.Outcome.IsOutage():
		entry.Tone, entry.What = ToneWait, "Checked: "+own+" did not answer"
	case e.Outcome.IsRefusal():
		entry.Tone, entry.What = ToneAct, "Checked: "+own+" refused it"
	}
	for _, d := range e.Changes {
		entry.Details = append(entry.Details, differenceWords(d))
	}
	return entry
}

func checker(t connection.Trigger) string {
	switch t {
	case connection.TriggerLink:
		return "While it was linked"
	case connection.TriggerManual:
		return "Asked for by a person"
	case connection.TriggerRead:
		return "Asked for by software"
	case connection.TriggerSchedule:
	}
	return "Our regular check"
}

// differenceWords says what is different in the contract.
func differenceWords(d connection.Difference) string {
	named := func(text string) string { return strings.TrimSpace(text + " " + d.ProductID) }
	switch d.Type {
	case connection.ChangedExpired:
		if d.To == "true" {
			return "The contract has ended."
		}
		return "The contract is valid again."
	case connection.ChangedValidTo:
		return "The contract is now valid until " + DayWords(d.To) + "; before, until " + DayWords(d.From) + "."
	case connection.ChangedCreditBlocked:
		if d.To == "true" {
			return "The credit was blocked."
		}
		return "The credit is no longer blocked."
	case connection.ChangedAddress:
		return "An address has changed."
	case connection.ProductAdded:
		return "New product: " + strings.TrimSpace(d.To+" "+d.ProductID) + "."
	case connection.ProductRemoved:
		return "Product gone: " + strings.TrimSpace(d.From+" "+d.ProductID) + "."
	case connection.ProductRecoded:
		return "Product " + d.From + " is now " + d.To + "."
	case connection.ProductExpired:
		if d.To == "true" {
			return named("Product") + " has ended."
		}
		return named("Product") + " is valid again."
	case connection.ProductValidTo:
		return named("Product") + " is now valid until " + DayWords(d.To) + "."
	case connection.ChangedField:
	}
	return "Something else in the contract has changed."
}

// EntryOfEvent returns the entry of an event of a connection.
func EntryOfEvent(f Frame, name carrier.Name, e effects.Recorded) TimelineEntry {
	entry := TimelineEntry{At: e.At, Tone: ToneNeutral, Who: makerWords(f, e.By)}
	var data struct {
		Changed       []string                `json:"changed"`
		ValidTo       string                  `json:"valid_to"`
		ExpiresInDays *int                    `json:"expires_in_days"`
		Reason        string                  `json:"reason"`
		Reads         int                     `json:"reads"`
		Changes       []connection.Difference `json:"changes"`
	}
	// Data of a later version may not fit: then the entry says less.
	_ = json.Unmarshal(e.Data, &data)
	own := name.FriendlyName()
	switch e.Type {
	case effects.CarrierConnected:
		entry.What = "Linked"
	case effects.CarrierUpdated:
		entry.What = "Changed" + changedWords(data.Changed)
	case effects.CarrierRolledBack:
		entry.What = "Went back to the previous key"
	case effects.CarrierDisconnected:
		entry.What = "Disconnected"
	case effects.CarrierDegraded:
		entry.Tone, entry.What = ToneWait, own+" stopped answering"
	case effects.CarrierActionRequired:
		entry.Tone, entry.What = ToneAct, own+" no longer accepts the connection"
	case effects.CarrierRestricted:
		entry.Tone, entry.What = ToneAct, own+" takes no new parcels on the contract"
	case effects.CarrierRecovered:
		entry.Tone, entry.What = ToneGood, "Works again"
	case effects.CarrierAccountChanged:
		entry.What = "The contract has changed"
		for _, d := range data.Changes {
			entry.Details = append(entry.Details, differenceWords(d))
		}
	case effects.CarrierContractExpiring:
		entry.What = "The contract ends on " + DayWords(data.ValidTo)
		if data.ExpiresInDays != nil {
			entry.What += ", in " + count(*data.ExpiresInDays, "day")
		}
	case effects.CarrierCreditBlocked:
		entry.Tone, entry.What = ToneAct, own+" has blocked the credit"
	case effects.SecretRead:
		entry.What = "The key was used" + readWords(data.Reason, data.Reads)
	case effects.SecretShown:
		entry.Tone, entry.What = ToneAct, "Key and secret were shown on this page"
	default:
		entry.What = strings.ReplaceAll(string(e.Type), "_", " ")
	}
	return entry
}

var changedNames = map[string]string{ // never changes
	"account_number": "the account number", "credentials": "the key", "external_carrier_id": "the id in other software", "metadata": "the notes of other software",
	"nickname": "the name", "refresh_policy": "how often it is checked",
}

func changedWords(members []string) string {
	var names []string
	for _, m := range members {
		if n := changedNames[m]; n != "" {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, ", ")
}

func readWords(reason string, reads int) string {
	switch reason {
	case "schedule":
		if reads > 0 {
			return " " + timesWords(reads) + " in a day for our regular checks"
		}
		return " for our regular checks"
	case "verify":
		return " for a check"
	case "read":
		return " to read the contract"
	case "change":
		return " while it was changed"
	case "rollback":
		return " to go back to the previous one"
	case connection.ReadForTracking, connection.ReadForParcels:
		if reads > 0 {
			return " " + timesWords(reads) + " in a day to track parcels"
		}
		return " to track parcels"
	}
	return ""
}

func timesWords(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// makerWords says who has made a change.
func makerWords(f Frame, by effects.By) string {
	switch by.Actor {
	case effects.Page:
		return "Somebody who was signed in here"
	case effects.Merchant:
		return "Your software"
	case effects.Partner:
		return stating{Frame: f}.partner()
	case effects.Operator:
		return "Support"
	case effects.Schedule, effects.Reconciler:
	}
	return "Our regular check"
}
