package auspost

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
)

// answer is what came back over HTTP.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// knownCode is an error code that Get Accounts or Track may answer, with our own
// name of it: the carrier's name is never trusted, 41007 has three of them.
type knownCode struct {
	code, name string
	outcome    carrier.Outcome // under any 4xx but 401, 403 and 429
}

const (
	codeUnauthorized = "API_001"
	codeRateLimited  = "API_002"

	// Of a whole track call.
	codeMixedNumbers  = "51103"
	codeInvalidNumber = "51104"
)

// knownCodes are those of infra/docs/auspost.md, "Codes", the most telling
// first: when an answer lists several errors, the first of this table counts.
// Throttling comes before all others, because it says that nothing was looked
// at; credentials before the account, and the account before its contract.
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

// read is an answer of Get Accounts; asked is the account number of the request.
func read(a answer, asked string, now time.Time) connection.Reading {
	return interpret(a, now, func(r *connection.Reading, doc []byte) { readAccount(r, doc, asked) })
}

// interpret is the one place that says what an answer means, for all shapes of
// infra/docs/auspost.md, "Error responses" and "Suggested outcome classes". good
// reads the JSON object of a 200 without errors.
//
//   - API_002 under any status, and 429, are throttling.
//   - 5xx says nothing about the merchant, whatever code comes with it.
//   - 401 and 403 are refusals only with a body in one of the carrier's error
//     shapes: anything else was written by something in front of the carrier, and
//     counts as an outage. API_001 is a 401 under any other status.
//   - Anything else that is not a JSON object is the carrier's fault: unreadable.
//   - 200 with errors is read as a 400 with those errors. A 4xx goes by its most
//     telling known code; without one, 422 is a malformed request and the rest is
//     unexpected: 404 means a wrong URL, not an unknown account.
func interpret(a answer, now time.Time, good func(r *connection.Reading, doc []byte)) connection.Reading {
	r := connection.Reading{HTTPStatus: a.status}
	doc, problem := parseObject(a.body)
	code, failed := findError(doc)
	r.Code, r.Name = code.code, code.name
	is2xx := a.status >= 200 && a.status < 300
	refusing := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
	switch {
	case code.code == codeRateLimited, a.status == http.StatusTooManyRequests:
		r.Outcome, r.RetryAfter = carrier.OutcomeRateLimited, retryAfter(a.header.Get("Retry-After"), now)
	case a.status >= 500 && a.status < 600:
		r.Outcome, r.RetryAfter = carrier.OutcomeUnavailable, retryAfter(a.header.Get("Retry-After"), now)
	case refusing && !isCarriersError(doc):
		r.Outcome, r.RetryAfter = carrier.OutcomeUnavailable, retryAfter(a.header.Get("Retry-After"), now)
		r.Cause = &failure{text: strconv.Itoa(a.status) + " without one of the carrier's error bodies: something in front of it may be blocking this service's address"}
	case a.status == http.StatusUnauthorized:
		r.Outcome = carrier.OutcomeUnauthorized
	case !is2xx && (a.status < 400 || a.status >= 600):
		r.Outcome, r.Cause = carrier.OutcomeUnreadable, &failure{text: "a redirect, or a status that HTTP does not have"}
	case code.code == codeUnauthorized:
		r.Outcome = carrier.OutcomeUnauthorized
	case a.status == http.StatusForbidden:
		r.Outcome = carrier.OutcomeForbidden
	case problem != nil:
		r.Outcome, r.Cause = carrier.OutcomeUnreadable, problem
	case is2xx && !failed && a.status != http.StatusOK:
		r.Outcome, r.Cause = carrier.OutcomeUnreadable, &failure{text: "success with another status than 200"}
	case is2xx && !failed:
		good(&r, doc)
	case code.code != "":
		r.Outcome = code.outcome
	case a.status == http.StatusUnprocessableEntity:
		r.Outcome = carrier.OutcomeMalformed
	default:
		r.Outcome = carrier.OutcomeUnexpected
	}
	return r
}

// readAccount takes a good answer in, if it is one: of the account that was
// asked for.
func readAccount(r *connection.Reading, doc []byte, asked string) {
	contract, err := readContract(doc)
	switch {
	case err != nil:
		r.Outcome, r.Cause = carrier.OutcomeUnreadable, err
	case contract.AccountNumber != strings.TrimSpace(asked):
		r.Outcome = carrier.OutcomeNumberMismatch
	default:
		r.Outcome, r.Raw, r.Contract = carrier.OutcomeOK, doc, contract
	}
}

// maxDepth bounds the nesting of an answer; the carrier's own is below ten. It
// leaves room for what the account is put into, where readers have limits too.
const maxDepth = 100

// parseObject is the body's JSON object as it came, without white space or a
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

// findError looks for the most telling known error of an answer, and tells
// whether it lists any. Errors stand in errors, one object or several; the
// members of the object itself count where there is neither a list nor an
// account.
func findError(doc []byte) (found knownCode, failed bool) {
	if doc == nil {
		return knownCode{}, false
	}
	best, isAccount := len(knownCodes), false
	item := func(value json.RawMessage) {
		if value[0] != 'n' {
			failed, best = true, min(best, rankOf(value))
		}
	}
	for m := range members(doc) {
		switch {
		case m.name == "account_number":
			isAccount = true
		case m.name == "errors" && m.value[0] == '[':
			for e := range members(m.value) {
				item(e.value)
			}
		case m.name == "errors" && m.value[0] == '{':
			if len(m.value) > len("{}") {
				item(m.value)
			}
		}
	}
	if !failed && !isAccount {
		best = rankOf(doc)
		failed = best < len(knownCodes)
	}
	if best < len(knownCodes) {
		found = knownCodes[best]
	}
	return found, failed
}

// isCarriersError tells whether a body has one of the shapes that the carrier's
// own errors have (infra/docs/auspost.md, "Error responses"): a list of errors
// with a code each, or one such error; an object error with an errorMessage; a
// text error with its description; or a known code in the object itself. Other
// JSON is what gateways and frameworks in general write.
func isCarriersError(doc []byte) bool {
	if doc == nil {
		return false
	}
	var named, described bool
	for m := range members(doc) {
		switch {
		case m.name == "errors" && m.value[0] == '[':
			for e := range members(m.value) {
				if isCoded(e.value) {
					return true
				}
			}
		case m.name == "errors" && isCoded(m.value):
			return true
		case m.name == "error" && m.value[0] == '{':
			for e := range members(m.value) {
				if e.name == "errorMessage" && textOf(e.value) != "" {
					return true
				}
			}
		case m.name == "error":
			named = textOf(m.value) != ""
		case m.name == "error_description":
			described = textOf(m.value) != ""
		}
	}
	return named && described || rankOf(doc) < len(knownCodes)
}

// isCoded tells whether an error has a code, known or not.
func isCoded(item json.RawMessage) bool {
	if item[0] != '{' {
		return false
	}
	for m := range members(item) {
		if isCode(m.name) && textOf(m.value) != "" {
			return true
		}
	}
	return false
}

// isCode: the code of an error is in code, at the gateway in error_code, and in
// one shape in error.
func isCode(name string) bool { return name == "code" || name == "error_code" || name == "error" }

// rankOf is where an error's code stands in knownCodes, len(knownCodes) if
// nowhere.
func rankOf(item json.RawMessage) int {
	best := len(knownCodes)
	if item[0] != '{' {
		return best
	}
	for m := range members(item) {
		if !isCode(m.name) {
			continue
		}
		code := textOf(m.value)
		for i := range best {
			if knownCodes[i].code == code {
				best = i
				break
			}
		}
	}
	return best
}

// longestRetryAfter caps the carrier's wish.
const longestRetryAfter = time.Hour

// retryAfter reads the header Retry-After, seconds or a date; zero if it is
// absent, past or neither.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(longestRetryAfter/time.Second))) * time.Second
	} else if errors.Is(err, strconv.ErrRange) {
		return longestRetryAfter
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestRetryAfter)
}
