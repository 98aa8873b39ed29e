package auspost

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/wait"
)

// answer is an HTTP answer of the carrier's.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// knownCode is an error code that Get Accounts or Track may answer. The name is our
// own: the carrier's is no identity, 41007 has three of them.
type knownCode struct {
	code, name string
	outcome    carrier.Outcome // under any 4xx but 401, 403 and 429
}

const (
	codeUnauthorized = "API_001"
	codeRateLimited  = "API_002"

	// Of a whole Track call.
	codeMixedNumbers  = "51103"
	codeInvalidNumber = "51104"
)

// knownCodes are the codes of infra/docs/auspost.md, "Codes", in order of
// precedence: of several errors in an answer, the first in this table counts.
// Throttling comes first, because the carrier looked at nothing else; then the
// credentials, the account and its contract.
var knownCodes = [...]knownCode{
	{codeRateLimited, "Too many requests", carrier.OutcomeRateLimited},
	{codeUnauthorized, "Authentication error", carrier.OutcomeUnauthorized},
	{"41002", "ACCOUNT_NOT_FOUND", carrier.OutcomeUnknownAccount},
	{"41001", "CUSTOMER_NOT_FOUND", carrier.OutcomeUnknownAccount},
	{"40001", "JSON_NO_CONTRACT_ID", carrier.OutcomeUnknownAccount},
	{"41007", "CONTRACT_SETUP_ERROR", carrier.OutcomeContractAbsent},
	{"41003", "CONTRACT_NOT_VALID_ERROR", carrier.OutcomeContractEnded},
	{"40002", "JSON_MANDATORY_FIELD_MISSING", carrier.OutcomeMalformed},
	{"51100", "TRACKING_IDS_MISSING", carrier.OutcomeMalformed},
	{"51101", "TOO_MANY_AP_TRACKING_IDS", carrier.OutcomeMalformed},
	{"51102", "TOO_MANY_ST_TRACKING_IDS", carrier.OutcomeMalformed},
	{codeMixedNumbers, "TRACKING_IDS_MIX_OF_AP_AND_ST", carrier.OutcomeMalformed},
	{codeInvalidNumber, "INVALID_TRACKING_ID", carrier.OutcomeMalformed},
	{"ESB-20010", "System Error", carrier.OutcomeUnavailable},
	{"ESB-20050", "System Error", carrier.OutcomeUnavailable},
	{"ESB-10001", "Invalid tracking ID", carrier.OutcomeMalformed},
	{"ESB-10002", "Product Not Trackable", carrier.OutcomeMalformed},
	{"unprocessable_entity", "unprocessable_entity", carrier.OutcomeMalformed},
}

// readAccountAnswer interprets an answer of Get Accounts about the number.
func readAccountAnswer(a answer, number string, now time.Time) connection.Reading {
	return interpret(a, now, func(r *connection.Reading, doc []byte) {
		contract, err := readContract(doc)
		switch {
		case err != nil:
			r.Outcome, r.Cause = carrier.OutcomeUnreadable, err
		case contract.AccountNumber != strings.TrimSpace(number):
			r.Outcome = carrier.OutcomeNumberMismatch
		default:
			r.Outcome, r.Raw, r.Contract = carrier.OutcomeOK, doc, contract
		}
	})
}

// interpret decides the outcome of an answer, for all shapes of
// infra/docs/auspost.md, "Error responses" and "Suggested outcome classes". success
// reads the JSON object of a 200 without errors, and sets the outcome.
//
//   - API_002 under any status, and 429, are throttling.
//   - 5xx says nothing about the merchant, whatever code comes with it.
//   - 401 and 403 are refusals only with a body in one of the carrier's error
//     shapes: anything else was written by something in front of the carrier, and
//     counts as an outage. API_001 is a 401 under any other status.
//   - Any other body that is not a JSON object is unreadable.
//   - 200 with errors is read as a 400 with those errors. A 4xx goes by its first
//     known code in order of precedence; without one, 422 is a malformed request and
//     the rest is unexpected: 404 means a wrong URL, not an unknown account.
func interpret(a answer, now time.Time, success func(r *connection.Reading, doc []byte)) connection.Reading {
	doc, problem := parseObject(a.body)
	e := readErrors(doc)
	r := connection.Reading{HTTPStatus: a.status, Code: e.known.code, Name: e.known.name}
	pause := wait.RetryAfter(a.header.Get("Retry-After"), now, longestRetryAfter)
	is2xx := a.status >= 200 && a.status < 300
	refusing := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
	switch {
	case r.Code == codeRateLimited, a.status == http.StatusTooManyRequests:
		r.Outcome, r.RetryAfter = carrier.OutcomeRateLimited, pause
	case a.status >= 500 && a.status < 600:
		r.Outcome, r.RetryAfter = carrier.OutcomeUnavailable, pause
	case refusing && !e.carriers:
		r.Outcome, r.RetryAfter = carrier.OutcomeUnavailable, pause
		r.Cause = &failure{text: strconv.Itoa(a.status) +
			" without one of the carrier's error bodies: something in front of it may be blocking this service's address"}
	case a.status == http.StatusUnauthorized:
		r.Outcome = carrier.OutcomeUnauthorized
	case !is2xx && (a.status < 400 || a.status >= 600):
		r.Outcome, r.Cause = carrier.OutcomeUnreadable, &failure{text: "a redirect, or a status that HTTP does not have"}
	case r.Code == codeUnauthorized:
		r.Outcome = carrier.OutcomeUnauthorized
	case a.status == http.StatusForbidden:
		r.Outcome = carrier.OutcomeForbidden
	case problem != nil:
		r.Outcome, r.Cause = carrier.OutcomeUnreadable, problem
	case is2xx && !e.listed && a.status != http.StatusOK:
		r.Outcome, r.Cause = carrier.OutcomeUnreadable, &failure{text: "success with another status than 200"}
	case is2xx && !e.listed:
		success(&r, doc)
	case r.Code != "":
		r.Outcome = e.known.outcome
	case a.status == http.StatusUnprocessableEntity:
		r.Outcome = carrier.OutcomeMalformed
	default:
		r.Outcome = carrier.OutcomeUnexpected
	}
	return r
}

// maxDepth bounds the nesting of an answer; the carrier's own is below ten. The
// account becomes a part of our own documents, whose readers have limits too.
const maxDepth = 100

// parseObject returns the JSON object of a body unchanged, without white space or a
// byte order mark around it.
func parseObject(body []byte) ([]byte, error) {
	doc := bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	switch {
	case len(doc) == 0:
		return nil, &failure{text: "the answer is empty"}
	case doc[0] != '{':
		return nil, &failure{text: "the answer is not a JSON object"}
	case !utf8.Valid(doc):
		return nil, &failure{text: "the answer is not UTF-8"}
	case tooDeep(doc):
		return nil, &failure{text: "the answer is nested too deep"}
	case !json.Valid(doc):
		return nil, &failure{text: "the answer is broken JSON"}
	}
	return doc, nil
}

func tooDeep(doc []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// bodyErrors is what a body says about errors.
type bodyErrors struct {
	listed   bool      // there is at least one error
	known    knownCode // the first of them in order of precedence; zero if none is known
	carriers bool      // the body has one of the carrier's error shapes
}

// readErrors finds the errors of a JSON object (infra/docs/auspost.md, "Error
// responses"). They stand in errors, as a list or one object; the code of the object
// itself counts where there are none there, and no account.
//
// The carrier's own shapes are: an error with a code, known or not; an object error
// with an errorMessage; a text error with its error_description; a known code in the
// object itself. Gateways and frameworks write any other JSON.
func readErrors(doc []byte) (e bodyErrors) {
	if doc == nil {
		return e
	}
	best := len(knownCodes)
	var isAccount, named, described bool
	add := func(item json.RawMessage) {
		if item[0] != 'n' {
			rank, coded := rankOf(item)
			e.listed, e.carriers, best = true, e.carriers || coded, min(best, rank)
		}
	}
	for m := range members(doc) {
		switch {
		case m.name == "account_number":
			isAccount = true
		case m.name == "errors" && m.value[0] == '[':
			for item := range members(m.value) {
				add(item.value)
			}
		case m.name == "errors" && m.value[0] == '{' && len(m.value) > len("{}"):
			add(m.value)
		case m.name == "error" && m.value[0] == '{':
			for in := range members(m.value) {
				e.carriers = e.carriers || in.name == "errorMessage" && textOf(in.value) != ""
			}
		case m.name == "error":
			named = textOf(m.value) != ""
		case m.name == "error_description":
			described = textOf(m.value) != ""
		}
	}
	own, _ := rankOf(doc)
	e.carriers = e.carriers || named && described || own < len(knownCodes)
	if !e.listed && !isAccount {
		best, e.listed = own, own < len(knownCodes)
	}
	if best < len(knownCodes) {
		e.known = knownCodes[best]
	}
	return e
}

// rankOf returns the index of an error's code in knownCodes, len(knownCodes) if it
// is unknown, and whether the error has a code at all. The code stands in code, at
// the gateway in error_code, and in one shape in error.
func rankOf(item json.RawMessage) (rank int, coded bool) {
	rank = len(knownCodes)
	for m := range members(item) {
		if m.name != "code" && m.name != "error_code" && m.name != "error" {
			continue
		}
		code := textOf(m.value)
		coded = coded || code != ""
		if i := slices.IndexFunc(knownCodes[:rank], func(k knownCode) bool { return k.code == code }); i >= 0 {
			rank = i
		}
	}
	return rank, coded
}

// longestRetryAfter caps the pause that the carrier asks for.
const longestRetryAfter = time.Hour
