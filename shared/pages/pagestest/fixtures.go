// Package pagestest has pages to look at without AWS: each page of shared/pages in the states that people meet, with texts as
// long and as odd as callers may send. infra/test/pages opens all of them in a browser.
package pagestest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/account"
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
		RequestID: "7d0c1c6e-0000-4000-8000-000000000001", Now: Now(), Zone: account.ZoneOf("AU"),
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

// problems are the pages of errors. They say what the status means, whatever the error says.
func problems() []Fixture {
	var all []Fixture
	for _, p := range []struct {
		name       string
		status     int
		retryAfter time.Duration
	}{
		{"missing", http.StatusNotFound, 0},
		{"from-another-site", http.StatusForbidden, 0},
		{"not-like-that", http.StatusMethodNotAllowed, 0},
		{"conflict", http.StatusConflict, 0},
		{"too-large", http.StatusRequestEntityTooLarge, 0},
		{"too-often", http.StatusTooManyRequests, 3 * time.Minute},
		{"our-fault", http.StatusInternalServerError, 0},
		{"carrier-down", http.StatusBadGateway, 0},
		{"unavailable", http.StatusServiceUnavailable, 0},
	} {
		all = append(all, Fixture{"problem-" + p.name, pages.Problem(frame(pages.NavOverview), p.status, &fault.Error{RetryAfter: p.retryAfter})})
	}
	return append(all,
		Fixture{"problem-signed-out", pages.Problem(outside(), http.StatusNotFound, &fault.Error{})},
		Fixture{"problem-crowded", pages.Problem(crowded(pages.NavCarriers), http.StatusServiceUnavailable, errors.New("the table does not answer"))},
	)
}

func help() []Fixture {
	return []Fixture{
		{"help-key", pages.HelpKey(frame(pages.NavCarriers))},
		{"help-key-signed-out", pages.HelpKey(outside())},
	}
}
