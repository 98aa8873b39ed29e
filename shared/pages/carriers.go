package pages

import (
	"context"
	"strings"

	"github.com/a-h/templ"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/web"
)

// CarriersPage is the list of an account's connections.
type CarriersPage struct {
	Frame    Frame
	Carriers []CarrierLine
}

// LinkPage is the form that links a charge account.
type LinkPage struct {
	Frame   Frame
	Carrier carrier.Name
	FormID  string
	Values  Submitted // of nickname and account_number
	// Refused is why the carrier did not accept what was entered; nil: it was not asked.
	Refused *fault.Diagnosis
	// Kept is what was entered of the key and the secret, sealed, so that it need not be typed
	// again to be saved without a check; empty: nothing is kept.
	Kept string
	// Existing is the connection that has the number already; empty for none.
	Existing string
}

// ChangePage is the form that changes a connection.
type ChangePage struct {
	Frame      Frame
	Connection *connection.Connection
	FormID     string
	Values     Submitted
	Refused    *fault.Diagnosis
	Existing   string
}

// fieldsOf returns the inputs of a form for a carrier. When values are changed an empty secret
// keeps the stored one.
func fieldsOf(f Frame, name carrier.Name, values Submitted, changes bool) []Input {
	var all []Input
	for _, field := range connection.Form(name) {
		in := Input{
			Name: field.Name, Label: field.Label, Type: "text", Help: field.Help, Autocomplete: "off", Required: field.Required,
			Digits: field.Name == "account_number", Secret: field.Type == "password", Problem: f.ProblemOf(field.Name),
		}
		if !field.Secret {
			in.Value, in.Help = values.Get(field.Name), field.Help+" For example "+field.Example+"."
		}
		if field.Name == "nickname" {
			in.Label, in.Help = "Your own name for it", "Any name that helps you to tell your carrier accounts apart. For example "+field.Example+"."
		}
		if changes && field.Secret {
			in.Label, in.Required = "New "+field.Label, false
		}
		all = append(all, in)
	}
	return all
}

// pathOf returns the address of a page of this site.
func pathOf(ctx context.Context, path string) templ.SafeURL {
	return templ.SafeURL(web.Path(ctx, path))
}

// docText names the carrier's page that explains a diagnosis.
func docText(address string) string {
	if strings.HasSuffix(address, "/register") {
		return "Australia Post developer centre"
	}
	return "What Australia Post says about it"
}

// triesAgain reports whether the form was sent before.
func (p *LinkPage) triesAgain() bool { return p.Refused != nil || len(p.Frame.Problems) > 0 }

func linkHeading(p LinkPage) string {
	switch {
	case p.Kept != "":
		return "Or try again now"
	case p.triesAgain():
		return "Try again"
	}
	return "Your " + p.Carrier.FriendlyName() + " account"
}

func toneOf(d *fault.Diagnosis) Tone {
	if d.WhoMustAct == fault.Merchant {
		return ToneAct
	}
	return ToneWait
}

// refusalHeading does not repeat what the summary on top of the page says.
func refusalHeading(f Frame, d *fault.Diagnosis, name string) string {
	if len(f.Problems) > 0 && len(d.NextSteps) > 0 {
		return "What to do"
	}
	return headlineOf(d, name)
}

func headlineOf(d *fault.Diagnosis, name string) string {
	switch d.Category {
	case "carrier_unavailable", "carrier_timeout":
		return name + " isn't answering"
	}
	return strings.TrimSuffix(d.LikelyCause, ".")
}

// Said returns a diagnosis in words for a merchant; nil for nil.
func Said(d *fault.Diagnosis, name carrier.Name, partner string) *fault.Diagnosis {
	if d == nil {
		return nil
	}
	said := *d
	said.LikelyCause, said.NextSteps = Say(d.LikelyCause, name, partner), nil
	for _, step := range d.NextSteps {
		said.NextSteps = append(said.NextSteps, Say(step, name, partner))
	}
	return &said
}

// SaidProblems returns problems of the fields of a form in words for a merchant, each with the
// first step of its diagnosis.
func SaidProblems(all fault.List, name carrier.Name, partner string) fault.List {
	var said fault.List
	for _, p := range all {
		copied := *p
		copied.Message = Say(p.Message, name, partner)
		if p.Diagnosis != nil && len(p.Diagnosis.NextSteps) > 0 {
			copied.Message += " " + Say(p.Diagnosis.NextSteps[0], name, partner)
		}
		said = append(said, &copied)
	}
	return said
}
