package httpapi

import (
	"cmp"
	"net/http"

	"carrierlink/shared/fault"
)

// row describes how a kind of fault is answered.
type row struct {
	status    int
	errorType string
	code      string
	carrier   bool // error_source is carrier
	retryable bool
}

// rows has a row for every kind, as infra/docs/errors.md does.
var rows = map[fault.Kind]row{
	fault.Internal:            {http.StatusInternalServerError, "system", "unspecified", false, false},
	fault.BodyRequired:        {http.StatusBadRequest, "validation", "request_body_required", false, false},
	fault.Required:            {http.StatusBadRequest, "validation", "field_value_required", false, false},
	fault.Length:              {http.StatusBadRequest, "validation", "invalid_string_length", false, false},
	fault.Invalid:             {http.StatusBadRequest, "validation", "invalid_field_value", false, false},
	fault.Identifier:          {http.StatusBadRequest, "validation", "invalid_identifier", false, false},
	fault.NotSupported:        {http.StatusBadRequest, "validation", "carrier_not_supported", false, false},
	fault.Unauthorized:        {http.StatusUnauthorized, "security", "unauthorized", false, false},
	fault.Forbidden:           {http.StatusForbidden, "security", "forbidden", false, false},
	fault.Inactive:            {http.StatusForbidden, "account_status", "subscription_inactive", false, false},
	fault.NotFound:            {http.StatusNotFound, "security", "not_found", false, false},
	fault.Conflict:            {http.StatusConflict, "business_rules", "identifier_conflict", false, false},
	fault.CarrierConflict:     {http.StatusConflict, "business_rules", "carrier_conflict", false, false},
	fault.WebhookConflict:     {http.StatusConflict, "business_rules", "webhook_event_type_conflict", false, false},
	fault.State:               {http.StatusConflict, "business_rules", "invalid_status", false, false},
	fault.Precondition:        {http.StatusPreconditionFailed, "validation", "invalid_field_value", false, false},
	fault.TooLarge:            {http.StatusRequestEntityTooLarge, "validation", "invalid_field_value", false, false},
	fault.MediaType:           {http.StatusUnsupportedMediaType, "validation", "invalid_field_value", false, false},
	fault.IdempotencyMismatch: {http.StatusUnprocessableEntity, "validation", "field_conflict", false, false},
	fault.RateLimited:         {http.StatusTooManyRequests, "system", "rate_limit_exceeded", false, true},
	fault.Overloaded:          {http.StatusServiceUnavailable, "system", "unspecified", false, true},
	fault.NumberMismatch:      {http.StatusBadRequest, "validation", "identifiers_must_match", false, false},
	fault.CarrierRefused:      {http.StatusBadRequest, "business_rules", "verification_failure", false, false},
	fault.CarrierContract:     {http.StatusBadRequest, "account_status", "verification_failure", false, false},
	fault.CarrierLimited:      {http.StatusServiceUnavailable, "system", "rate_limit_exceeded", true, true},
	fault.CarrierDown:         {http.StatusBadGateway, "system", "unspecified", true, true},
	fault.CarrierTimeout:      {http.StatusGatewayTimeout, "system", "unspecified", true, true},
}

// Problem is one member of errors in the envelope.
type Problem struct {
	ErrorSource       string           `json:"error_source"`
	ErrorType         string           `json:"error_type"`
	ErrorCode         string           `json:"error_code"`
	Message           string           `json:"message"`
	FieldName         string           `json:"field_name,omitempty"`
	Retryable         bool             `json:"retryable,omitempty"`
	DocURL            string           `json:"doc_url,omitempty"`
	ExistingAccountID int64            `json:"existing_account_id,omitempty"`
	ExistingCarrierID string           `json:"existing_carrier_id,omitempty"`
	Diagnosis         *fault.Diagnosis `json:"diagnosis,omitempty"`
}

// Envelope is the body of every error answer.
type Envelope struct {
	RequestID string    `json:"request_id"`
	Errors    []Problem `json:"errors"`
}

// Problems returns the problems of an error for an answer. source is API.ErrorSource.
func Problems(source string, err error) []Problem {
	all := fault.Of(err)
	problems := make([]Problem, len(all))
	for i, p := range all {
		problems[i] = problem(source, p)
	}
	return problems
}

// problem renders one problem. It hides the details of internal errors.
func problem(source string, p *fault.Error) Problem {
	r, ok := rows[p.Kind]
	if !ok || p.Kind == fault.Internal {
		r, p = rows[fault.Internal], fault.New(fault.Internal, "Something went wrong on our side. Please try again, or tell us the request id.")
	}
	out := Problem{
		ErrorSource: cmp.Or(source, "shipengine"), ErrorType: r.errorType, ErrorCode: r.code, Message: p.Message, FieldName: p.Field,
		Retryable: r.retryable, ExistingAccountID: p.ExistingAccountID, ExistingCarrierID: p.ExistingCarrierID, Diagnosis: p.Diagnosis,
	}
	if r.carrier {
		out.ErrorSource = "carrier"
	}
	if d := p.Diagnosis; d != nil {
		out.DocURL, out.Retryable = d.DocURL, out.Retryable && d.Retryable
	}
	return out
}

// RetryAfter adds the header of the same name, if the error has a time.
func (r *Response) RetryAfter(err error) {
	if after := RetryAfter(err); after != "" {
		r.Header["Retry-After"] = after
	}
}

// RetryAfter returns the value of the header of the same name; empty if the error has no time.
func RetryAfter(err error) (value string) {
	for _, p := range fault.Of(err) {
		if p.Kind != fault.Internal && p.RetryAfter > 0 {
			value = seconds(p.RetryAfter)
		}
	}
	return value
}

// Status returns the status of an answer with an error: that of its first problem.
func Status(err error) int {
	return cmp.Or(rows[fault.KindOf(err)].status, http.StatusInternalServerError)
}

// render answers with an error.
func (a *API) render(req *Request, err error) *Response {
	resp := JSON(Status(err), Envelope{RequestID: req.ID, Errors: Problems(a.ErrorSource, err)})
	resp.RetryAfter(err)
	if resp.Status == http.StatusUnauthorized {
		resp.Header["WWW-Authenticate"] = challenge
	}
	return resp
}

// challenge goes with every 401 (RFC 9110, section 11.6.1). No registered scheme fits, so
// it is named after the header that carries the key.
const challenge = `API-Key realm="carrierlink"`
