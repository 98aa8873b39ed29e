// Package simulator simulates Australia Post for sandbox partners, tests and the local
// stack: the routes accounts, track and address of the Shipping & Tracking API v1,
// with the bodies of examples/, in which every identifier is invented.
//
// The last two digits of the charge account number choose the story of Get Accounts,
// for Australia Post (10 digits) and StarTrack (8) alike:
//
//	01 02 03 07  400 with 41001, 41002, 41003, 41007
//	10           contract expired
//	11           contract expires in 7 days
//	12           credit blocked
//	13           a product is gone from the second check on
//	14           every product contract has expired
//	40           401
//	41           401 once, then fine
//	43           403
//	49           429 once, then fine
//	50           500
//	51           503 in HTML
//	54           no answer in time
//	55           malformed JSON
//	56           200 with an errors array
//	60           fine at the first check, 401 from the second on
//	61           fine at the first check, 500 at the next three, then fine
//	70           another charge account comes back
//	others       fine
//
// A story is a pure function of number, check, attempt and clock. In process
// (Transport) the caller provides check and attempt; over HTTP (NewHandler) the server
// counts them. Any key and secret pass, unless the secret contains "wrong" or either
// is missing.
//
// Only story 49 differs between the two ways. Over HTTP a second link succeeds, because
// the server has counted the first check. In process a failed link leaves nothing
// behind, so each link makes the first check; a connection that is kept for later
// verification gets its good answer at its second check.
package simulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer is one HTTP answer, or none in time.
type answer struct {
	status      int
	contentType string
	body        string
	allow       string // header Allow
	never       bool   // no answer until the client gives up
}

// invitesRetry reports whether the client may repeat the request within its check: it
// repeats a 401 and 5xx, not a 429 or a timeout.
func (a answer) invitesRetry() bool {
	return !a.never && (a.status == http.StatusUnauthorized || a.status >= 500)
}

func jsonAnswer(status int, body string) answer {
	return answer{status: status, contentType: "application/json", body: body}
}

// legacy is the error shape of the older API on the same host
// (infra/docs/auspost.md, "Error responses", shape 4).
func legacy(status int) answer {
	return jsonAnswer(status, strings.ReplaceAll(errorLegacy, "Please enter Length.", http.StatusText(status)))
}

// others answers the paths track and address with credentials that pass.
type others func(r *http.Request, path, apiKey string) answer

// route answers a request. It calls getAccount for a charge account whose credentials
// pass, and rest for the other paths; with nil there are none.
func route(r *http.Request, getAccount func(number, apiKey string) answer, rest others) answer {
	path, ok := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, "/test"), "/shipping/v1/")
	if !ok {
		return legacy(http.StatusNotFound)
	}
	number, isAccount := strings.CutPrefix(path, "accounts/")
	isAccount = isAccount && number != "" && !strings.Contains(number, "/")
	switch {
	case !isAccount && (rest == nil || path != "track" && path != "address"):
		return legacy(http.StatusNotFound)
	case r.Method != http.MethodGet:
		a := legacy(http.StatusMethodNotAllowed)
		a.allow = http.MethodGet
		return a
	}
	apiKey, secret, ok := r.BasicAuth()
	if !ok || apiKey == "" || secret == "" || strings.Contains(secret, "wrong") {
		// Every cause gets the same answer (infra/docs/auspost.md, "Known traps" 2).
		return jsonAnswer(http.StatusUnauthorized, errorUnauthorized)
	}
	if !isAccount {
		return rest(r, path, apiKey)
	}
	header := r.Header.Get("Account-Number")
	switch {
	case header == "":
		return jsonAnswer(http.StatusBadRequest, errorNoContractID)
	case header != number:
		return accountError(error41001, number)
	case !isNumber(number):
		return accountError(error41002, number)
	}
	return getAccount(number, apiKey)
}

// trackOrAddress returns others without a limit of Track calls.
func trackOrAddress(now func() time.Time) others {
	return func(r *http.Request, path, _ string) answer {
		if path == "track" {
			return track(r.URL.Query().Get("tracking_ids"), now())
		}
		return address(r.URL.Query().Get("suburb"))
	}
}

// isNumber reports whether a text has 10 digits, like Australia Post's account
// numbers, or 8, like StarTrack's (infra/docs/auspost.md, "Account number format").
func isNumber(s string) bool { return only(s, isDigit) && (len(s) == 10 || len(s) == 8) }

func accountError(body, number string) answer {
	for _, sample := range []string{"0009912345", "0009912346"} {
		body = strings.ReplaceAll(body, sample, inJSON(number))
	}
	return jsonAnswer(http.StatusBadRequest, body)
}

// inJSON returns a text as it stands between the quotes of a JSON string.
func inJSON(s string) string {
	b, _ := json.Marshal(s) //nolint:errchkjson // a string always encodes
	return string(b[1 : len(b)-1])
}

func (a answer) setHeader(h http.Header) {
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
}
