// Package pagestest has pages to look at without AWS: each page of shared/pages in the states that people meet, with texts as
// long and as odd as callers may send. infra/test/pages opens all of them in a browser.
package pagestest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/web"
)

// Fixture is a page with everything that it shows.
type Fixture struct {
	// Name is lower-case words with dashes: of the page, then of its state. Pictures are named by it.
	Name string
	Page web.Page
}

// Fixtures returns all fixtures. Each name is there once.
func Fixtures() []Fixture {
	return slices.Concat(problems(), help(), signIn(), accounts(), carriers())
}

// Now is the time of all fixtures: a Sunday, 3:20 pm in Sydney.
func Now() time.Time { return time.Date(2027, 3, 14, 4, 20, 0, 0, time.UTC) }

// The texts that callers choose, at their longest and widest.
var (
	longCompany  = strings.Repeat("W", 50)
	longEmail    = strings.Repeat("long.address.", 4) + "of-somebody@" + strings.Repeat("sub.", 10) + "example.com"
	longNickname = strings.Repeat("Warehouse", 5) + " No 5"
)

// frame is the frame of somebody who is signed in.
func frame(nav pages.Nav) pages.Frame {
	f := outside()
	f.Nav, f.Company = nav, "Blue Gum Trading"
	return f
}

// outside is the frame of somebody who is not.
func outside() pages.Frame {
	return pages.Frame{
		Partner: "Acme Ships", Support: pages.Support{Email: "help@acme.example", URL: "https://acme.example/help"},
		RequestID: "7d0c1c6e-0000-4000-8000-000000000001", Now: Now(), Zone: pages.ZoneOf("AU"),
	}
}

// crowded is the frame with everything that a frame can have, at its longest.
func crowded(nav pages.Nav) pages.Frame {
	f := frame(nav)
	f.Company, f.Partner, f.OpenedBy = longCompany, strings.Repeat("M", 50), strings.Repeat("M", 50)
	f.Sandbox, f.Accent, f.Support = true, "#7a1fa2", pages.Support{Email: longEmail}
	return f
}

// refused is the frame of a form that came back.
func refused(f pages.Frame, problems ...*fault.Error) pages.Frame {
	return f.Saying(fault.ListOf(problems...))
}

// problems are the pages of errors.
func problems() []Fixture {
	var all []Fixture
	for _, p := range []struct {
		name   string
		status int
		err    error
	}{
		{"missing", http.StatusNotFound, fault.New(fault.NotFound, "There is no such page.")},
		{"from-another-site", http.StatusForbidden, fault.New(fault.Forbidden, "This form was sent from another site.")},
		{"not-like-that", http.StatusMethodNotAllowed, fault.New(fault.Invalid, "This page cannot be used like this.")},
		{"conflict", http.StatusConflict, fault.New(fault.Conflict, "Something changed.")},
		{"too-large", http.StatusRequestEntityTooLarge, fault.New(fault.TooLarge, "Too large.")},
		{"too-often", http.StatusTooManyRequests, &fault.Error{Kind: fault.RateLimited, Message: "Too often.", RetryAfter: 3 * time.Minute}},
		{"our-fault", http.StatusInternalServerError, errors.New("the table has lost a row")},
		{"carrier-down", http.StatusBadGateway, fault.New(fault.CarrierDown, "The carrier does not answer.")},
		{"unavailable", http.StatusServiceUnavailable, fault.New(fault.Overloaded, "The table does not answer.")},
	} {
		all = append(all, Fixture{"problem-" + p.name, pages.Problem(frame(pages.NavOverview), p.status, p.err)})
	}
	return append(all,
		Fixture{"problem-signed-out", pages.Problem(outside(), http.StatusNotFound, fault.New(fault.NotFound, "There is no such page."))},
		Fixture{"problem-crowded", pages.Problem(crowded(pages.NavCarriers), http.StatusServiceUnavailable, errors.New("the table does not answer"))},
	)
}

func help() []Fixture {
	return []Fixture{
		{"help-key", pages.HelpKey(frame(pages.NoNav))},
		{"help-key-signed-out", pages.HelpKey(outside())},
	}
}
