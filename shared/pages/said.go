package pages

import (
	"strings"

	"carrierlink/shared/fault"
)

// labels are the names that people read for the fields of the forms about signing in and the account.
var labels = map[string]string{ // never changes
	"email": "Email", "password": "Password", "company_name": "Company", "first_name": "First name", "last_name": "Last name", "origin_country_code": "Country",
}

// Saying returns the frame with the problems of an error: messages about a field begin with its
// label, and that of a limit says when to try again.
func (f Frame) Saying(err error) Frame {
	f.Problems = nil
	for _, p := range fault.Of(err) {
		said := *p
		if rest, found := strings.CutPrefix(said.Message, said.Field+" "); found && labels[said.Field] != "" {
			said.Message = labels[said.Field] + " " + rest
		}
		if said.Kind == fault.RateLimited {
			said.Message = "That was tried too often. " + f.again(said.RetryAfter)
		}
		f.Problems = append(f.Problems, &said)
	}
	return f
}

// Entered returns what a form says of an error that no field caused by itself.
func Entered(p *fault.Error) string {
	if p.Kind == fault.Inactive {
		return "This account is switched off. Please ask the platform that you ship with."
	}
	return p.Message
}
