package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"carrierlink/shared/fault"
)

// Conditional answers with what show makes under an ETag, or 304 when the
// request's If-None-Match names it, by the weak comparison of RFC 9110, section
// 8.8.3.2. A malformed If-None-Match is ignored.
func Conditional(req *Request, etag string, show func() *Response) *Response {
	resp := &Response{Status: http.StatusNotModified, Header: map[string]string{}}
	if !noneMatch(req, etag) {
		resp = show()
	}
	resp.Header["ETag"] = etag
	return resp
}

func noneMatch(req *Request, etag string) bool {
	value, _ := req.HeaderList("If-None-Match")
	tags, all, ok := entityTags(value)
	return ok && (all || slices.ContainsFunc(tags, func(tag string) bool { return strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") }))
}

// IfMatch compares the request's If-Match with the strong entity tag of a
// resource that exists, by the strong comparison of RFC 9110, section 13.1.1: a
// weak tag never matches. pinned is true when the header names the tag, so that
// the change must be of that version and no later one; an absent header and *
// leave it false.
//
// Errors: fault.Invalid for a header that is empty or malformed;
// fault.Precondition when it names other versions only.
func IfMatch(req *Request, etag string) (pinned bool, err error) {
	const header = "If-Match"
	value, given := req.HeaderList(header)
	if !given {
		return false, nil
	}
	tags, all, ok := entityTags(value)
	switch {
	case !ok:
		return false, fault.Field(fault.Invalid, header, "%s must be * or a list of entity tags in double quotes, as ETag has them.", header)
	case all:
		return false, nil
	case !slices.Contains(tags, etag):
		return false, fault.Field(fault.Precondition, header, "No entity tag of %s is the current one: the resource has changed. Read it again.", header)
	}
	return true, nil
}

// entityTags reads * or a list of entity tags, weak ones with their W/ (RFC 9110,
// sections 5.6.1 and 8.8.3): a comma may stand within a tag, list members may be
// empty. all is true for *, ok false for anything else, and for a list without a tag.
func entityTags(list string) (tags []string, all, ok bool) {
	const blank = " \t"
	if strings.Trim(list, blank) == "*" {
		return nil, true, true
	}
	for rest := list; ; {
		rest = strings.TrimLeft(rest, blank+",")
		if rest == "" {
			return tags, false, len(tags) > 0
		}
		tag, after, ok := entityTag(rest)
		after = strings.TrimLeft(after, blank)
		if !ok || after != "" && after[0] != ',' {
			return nil, false, false
		}
		tags, rest = append(tags, tag), after
	}
}

// entityTag cuts an entity tag off the front of s.
func entityTag(s string) (tag, rest string, ok bool) {
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
