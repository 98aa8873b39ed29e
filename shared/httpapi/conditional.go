package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"carrierlink/shared/fault"
)

// Conditional adds the ETag to the response of show, or answers 304 if the request's
// If-None-Match names the tag by the weak comparison of RFC 9110, section 8.8.3.2. A
// malformed If-None-Match is ignored.
func Conditional(req *Request, etag string, show func() *Response) *Response {
	value, _ := req.HeaderList("If-None-Match")
	tags, all, ok := parseEntityTags(value)
	matches := func(tag string) bool { return strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") }
	resp := &Response{Status: http.StatusNotModified, Header: map[string]string{}}
	if !ok || !all && !slices.ContainsFunc(tags, matches) {
		resp = show()
	}
	resp.Header["ETag"] = etag
	return resp
}

// IfMatch compares the request's If-Match with the strong entity tag of an existing
// resource, by the strong comparison of RFC 9110, section 13.1.1: a weak tag never
// matches. pinned is true if the header names the tag: the change then applies only to
// that version. It is false without a header, and for *.
//
// Errors: fault.Invalid for an empty or malformed header; fault.Precondition if the
// header does not name the tag.
func IfMatch(req *Request, etag string) (pinned bool, err error) {
	const header = "If-Match"
	value, given := req.HeaderList(header)
	if !given {
		return false, nil
	}
	tags, all, ok := parseEntityTags(value)
	switch {
	case !ok:
		return false, fault.Field(fault.Invalid, header, "%s must be * or a list of entity tags in double quotes, as in the header ETag.", header)
	case all:
		return false, nil
	case !slices.Contains(tags, etag):
		return false, fault.Field(fault.Precondition, header, "No entity tag in %s is current: the resource has changed; read it again.", header)
	}
	return true, nil
}

// parseEntityTags parses * or a list of entity tags, keeping W/ of weak ones (RFC 9110,
// sections 5.6.1 and 8.8.3): tags may contain commas, and list members may be empty.
// all is true for *; ok is false for anything else, and for a list without a tag.
func parseEntityTags(list string) (tags []string, all, ok bool) {
	const blank = " \t"
	if strings.Trim(list, blank) == "*" {
		return nil, true, true
	}
	for rest := list; ; {
		rest = strings.TrimLeft(rest, blank+",")
		if rest == "" {
			return tags, false, len(tags) > 0
		}
		tag, after, ok := cutEntityTag(rest)
		after = strings.TrimLeft(after, blank)
		if !ok || after != "" && after[0] != ',' {
			return nil, false, false
		}
		tags, rest = append(tags, tag), after
	}
}

// cutEntityTag splits s after the entity tag at its start.
func cutEntityTag(s string) (tag, rest string, ok bool) {
	opaque := strings.TrimPrefix(s, "W/")
	if !strings.HasPrefix(opaque, `"`) {
		return "", s, false
	}
	end := strings.IndexByte(opaque[1:], '"')
	if end < 0 || strings.ContainsFunc(opaque[1:1+end], func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return "", s, false
	}
	length := len(s) - len(opaque) + end + 2
	return s[:length], s[length:], true
}
