// Package pages renders the pages for people: components of templ, pictures as SVG, and all
// copy. It knows no AWS and reads nothing: a page is a function of its values.
//
// A page is a component that begins with @Layout(f.Titled("…")). Inside are Cards with Facts,
// Tables, Notices, Steps and Actions; forms are FormOf with Fields and a Submit. Every address
// goes through web.Path, and every text is escaped by templ.
package pages

//go:generate go -C ../../infra/tools tool templ generate -log-level error -path ../../shared/pages

import (
	"net/url"
	"time"

	"carrierlink/shared/fault"
)

// Frame is what surrounds every page.
type Frame struct {
	Title     string // of the page, also its heading; see Titled
	Nav       Nav    // the current entry; NoNav for pages of people who are not signed in
	Company   string // of the account; empty when nobody is signed in
	Partner   string // the name that the partner shows
	Support   Support
	Accent    string // #rrggbb of the partner; empty, or anything else: our own
	Sandbox   bool
	OpenedBy  string // the partner, if it opened this session; else empty
	Done      Done   // what the request before has done
	RequestID string // shown by the pages of Problem
	Now       time.Time
	Zone      *time.Location // of the times; nil: that of account.ZoneOf("AU")
	// Problems make the error summary on top of the page; each with a field is linked to the
	// Input with that ID or Name.
	Problems fault.List

	failed bool // the page of an error: shows the request id
}

// Titled returns the frame with another title.
func (f Frame) Titled(title string) Frame {
	f.Title = title
	return f
}

// ProblemOf returns the message of the first of the frame's problems about a field; empty if
// there is none. It is the Problem of the field's Input.
func (f Frame) ProblemOf(field string) string {
	for _, p := range f.Problems {
		if p.Field == field {
			return p.Message
		}
	}
	return ""
}

// Support is whom a merchant can ask: the partner's. Both may be empty.
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

// Input is a field of a form.
type Input struct {
	Name         string // of the field
	ID           string // of the element, if two forms of a page have the Name; empty: Name
	Label        string
	Type         string // text, password, email, checkbox; empty: text
	Value        string // never a secret; a checkbox is checked if it is "on"
	Help         string
	Autocomplete string // a token of HTML, such as current-password; off for the carrier's
	Required     bool
	Digits       bool // phones show the keyboard with digits
	MaxLength    int  // room for blanks around what is pasted; zero: no limit
	Secret       bool // has a show button, where there is JavaScript
	Problem      string
}

func (in Input) id() string {
	if in.ID != "" {
		return in.ID
	}
	return in.Name
}

// describedBy returns the ids of help and problem.
func (in Input) describedBy() string {
	switch {
	case in.Help != "" && in.Problem != "":
		return in.id() + "-problem " + in.id() + "-help"
	case in.Problem != "":
		return in.id() + "-problem"
	case in.Help != "":
		return in.id() + "-help"
	}
	return ""
}

// inputType returns the type of the element: a secret is a password field until it is shown.
func (in Input) inputType() string {
	switch {
	case in.Secret:
		return "password"
	case in.Type == "":
		return "text"
	}
	return in.Type
}

// Option is a choice of a Select.
type Option struct{ Value, Label string }

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
