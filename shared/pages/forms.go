package pages

import (
	"strconv"

	"github.com/a-h/templ"
)

// described returns the attributes that tie a field to its help and problem.
func described(in Input) templ.Attributes {
	all := templ.Attributes{}
	if ids := in.describedBy(); ids != "" {
		all["aria-describedby"] = ids
	}
	if in.Problem != "" {
		all["aria-invalid"] = "true"
	}
	return all
}

// typing returns the attributes that say what may be typed, and by whom. Password managers
// leave the carrier's fields alone, which have autocomplete off.
func typing(in Input) templ.Attributes {
	all := templ.Attributes{}
	if in.Autocomplete != "" {
		all["autocomplete"] = in.Autocomplete
	}
	if in.Autocomplete == "off" {
		all["data-1p-ignore"], all["data-bwignore"], all["data-lpignore"] = true, true, "true"
	}
	if in.Autocomplete == "off" || in.Secret {
		all["spellcheck"], all["autocapitalize"] = "false", "none"
	}
	if in.Secret {
		all["data-secret"] = true
	}
	if in.Digits {
		all["inputmode"] = "numeric"
	}
	if in.MaxLength > 0 {
		all["maxlength"] = strconv.Itoa(in.MaxLength)
	}
	return all
}

func problemsHeading(n int) string {
	if n == 1 {
		return "Please look at this"
	}
	return "Please look at these " + strconv.Itoa(n) + " things"
}

// documentTitle is what a tab of the browser and a screen reader say first.
func (f Frame) documentTitle() string {
	title := f.Title
	if len(f.Problems) > 0 {
		title = "Problem: " + title
	}
	if f.Partner != "" {
		title += " – " + f.Partner
	}
	return title
}

// supporter is who answers at the support address.
func (f Frame) supporter() string {
	if f.Partner == "" {
		return "us"
	}
	return f.Partner
}
