// Package pages renders the pages for people: components of templ, pictures as SVG, and all
// copy. It knows no AWS and reads nothing: a page is a function of its values.
package pages

import (
	"net/url"
	"time"

	"carrierlink/shared/fault"
)

// Frame is what surrounds every page.
type Frame struct {
	Title     string // of the page, also its heading
	Nav       Nav    // the current entry; NoNav for pages of people who are not signed in
	Company   string // of the account; empty when nobody is signed in
	Partner   string // the name that the partner shows
	Support   Support
	Accent    string // #rrggbb of the partner; empty: our own
	Sandbox   bool
	OpenedBy  string // the partner, if it opened this session; else empty
	Done      Done   // what the request before has done
	RequestID string
	Now       time.Time
	Zone      *time.Location // of the times
	// Problems make the error summary on top of the page; each with a field is linked to it.
	Problems fault.List
}

// Support is whom a merchant can ask.
type Support struct{ Email, URL string }

// Nav is an entry of the navigation.
type Nav string

// The entries.
const (
	NoNav       Nav = ""
	NavOverview Nav = "overview"
	NavCarriers Nav = "carriers"
	NavAccount  Nav = "account"
)

// Done is a word of a fixed list, which a redirect carries in ?done= and a page says in a sentence.
type Done string

// Input is a field of a form.
type Input struct {
	Name         string // of the field, and its id
	Label        string
	Type         string // text, password, email, checkbox
	Value        string // never a secret
	Help         string
	Autocomplete string // a token of HTML, such as current-password; off for the carrier's
	Required     bool
	MaxLength    int
	Secret       bool   // has a show button
	Problem      string // what is wrong with it; empty: nothing
}

// Tone is the meaning of a chip, of a bar, of a message. Each has a shape and a colour.
type Tone string

// The tones.
const (
	ToneGood    Tone = "good"    // works
	ToneWait    Tone = "wait"    // the carrier's turn, or a change is being made
	ToneAct     Tone = "act"     // your turn
	ToneNeutral Tone = "neutral" // nobody's turn
)

// Submitted are the values of a form that is shown again: never those of secrets.
type Submitted = url.Values
