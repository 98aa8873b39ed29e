package web

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// MaxBody is the largest form in bytes.
const MaxBody = 64 << 10

// Form reads a form: application/x-www-form-urlencoded, valid UTF-8 without NUL, at most
// MaxBody bytes, each field once. A form that was read stays with the request, in PostForm.
// Errors: fault.MediaType, TooLarge, Invalid.
func Form(r *http.Request) (url.Values, error) {
	if r.PostForm != nil {
		return r.PostForm, nil
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return nil, fault.New(fault.MediaType, "This is not a form that we can read.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, fault.New(fault.TooLarge, "The form is too large.")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		// The cause would quote the form, which may hold a secret.
		return nil, errUnreadable(nil)
	}
	for name, values := range form {
		if len(values) != 1 {
			return nil, &fault.Error{Kind: fault.Invalid, Field: name, Named: true, Message: "The form has a field twice."}
		}
		for _, text := range []string{name, values[0]} {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				return nil, &fault.Error{Kind: fault.Invalid, Field: name, Named: true, Message: "The form has characters that we cannot read."}
			}
		}
	}
	r.PostForm = form
	return form, nil
}

// errUnreadable is for a body that cannot be decoded. The cause, which may be nil, quotes nothing of it.
func errUnreadable(cause error) error {
	return &fault.Error{Kind: fault.Invalid, Message: "The form cannot be read.", Cause: cause}
}

// cookieName has the prefix that makes browsers keep a cookie to one host, https and all paths.
const cookieName = "__Host-session"

// Cookie returns the value of the session cookie __Host-session; empty for none, or for more than one.
func Cookie(r *http.Request) secret.Text {
	if all := r.CookiesNamed(cookieName); len(all) == 1 {
		return secret.New(all[0].Value)
	}
	return secret.Text{}
}

// SetCookie sets the session cookie; an empty text removes it. Browsers forget it when they are
// closed; how long a session lasts is the server's business. Links from other sites get it, as
// those in mails must (Lax); forms of other sites do not.
func SetCookie(w http.ResponseWriter, text secret.Text) {
	c := &http.Cookie{Name: cookieName, Value: text.Reveal(), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if text.IsZero() {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
