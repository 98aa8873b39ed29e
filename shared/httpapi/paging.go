package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/fault"
)

// Limits of a list.
const (
	DefaultPageSize = 25
	MaxPageSize     = 500
	// maxOffset limits page numbers, because the entries before a page are read and
	// dropped. A cursor reads only its page.
	maxOffset  = 10_000
	cursorLife = 24 * time.Hour
	cursorMAC  = 16 // bytes
	// cursorPurpose is the purpose of a cursor's MAC.
	cursorPurpose = "cursor"
	// maxPageBytes limits the entries of a page, so that the body is below 1 MB.
	maxPageBytes = 990_000
)

// Position is the last entry of a page: the next page begins after it.
type Position struct {
	At time.Time // the list's order, in milliseconds
	ID string    // the order of entries with the same time
}

// Page is the part of a list that a request asks for.
type Page struct {
	Number int // from 1
	Size   int
	After  *Position // from a cursor: the page begins after it
}

// Skip returns the number of entries before the page; zero with a cursor.
func (p Page) Skip() int {
	if p.After != nil {
		return 0
	}
	return (p.Number - 1) * p.Size
}

// cursor is the signed payload of a cursor.
type cursor struct {
	At     int64  `json:"t"` // time of the last entry, epoch milliseconds
	ID     string `json:"i"` // id of the last entry
	Page   int    `json:"p"` // number of the next page
	Issued int64  `json:"s"` // epoch seconds
}

// Pager parses the paging parameters of one list and makes its links.
type Pager struct {
	Sealer Sealer
	Now    time.Time
	Owner  string // of the list; cursors are valid for one owner
	Path   string // of the list, from /v1 on
	// Filters are the query parameters that filter and order the list. Cursors are
	// valid only for the same filters.
	Filters url.Values
	// OnlyNext is for a list whose pages are read by cursor only: there is no page by its
	// number but the first, and no link to the page before.
	OnlyNext bool
}

// Parse parses page, page_size and cursor. Problems are fault.Invalid, in this order: a
// cursor is invalid if it is forged, truncated, older than a day, or made for another
// owner or other filters. The error is a failure to verify the cursor.
func (p Pager) Parse(ctx context.Context, req *Request) (Page, fault.List, error) {
	page := Page{Number: 1, Size: DefaultPageSize}
	problems := slices.Concat(req.Number("page", &page.Number, 1, maxOffset), req.Number("page_size", &page.Size, 1, MaxPageSize))
	if len(problems) == 0 && len(req.Query("cursor")) == 0 {
		switch {
		case p.OnlyNext && page.Number > 1:
			return page, fault.List{fault.Field(fault.Invalid, "page", "page must be 1 in this list; to read further, follow links.next.href, which contains a cursor.")}, nil
		case page.Number*page.Size > maxOffset:
			return page, fault.List{fault.Field(fault.Invalid, "page",
				"page × page_size must be at most %d; to read further, follow links.next.href, which contains a cursor.", maxOffset)}, nil
		}
	}
	var failure error
	problems = append(problems, req.Single("cursor", func(text string) *fault.Error {
		var c cursor
		var ok bool
		if c, ok, failure = p.parseCursor(ctx, text); !ok {
			return fault.Field(fault.Invalid, "cursor", "cursor is not valid for this list, or is older than a day; start again without it.")
		}
		page.Number = c.Page
		page.After = &Position{At: time.UnixMilli(c.At).UTC(), ID: c.ID}
		return nil
	})...)
	return page, problems, failure
}

// Links returns the links to the first, previous and next page. next is the last entry of
// the page; nil for the last page.
func (p Pager) Links(ctx context.Context, req *Request, page Page, next *Position) (LinksBody, error) {
	href := func(name, value string) LinkBody {
		q := url.Values{}
		maps.Copy(q, p.Filters)
		q.Set("page_size", strconv.Itoa(page.Size))
		q.Set(name, value)
		return LinkBody{req.Address(p.Path) + "?" + q.Encode()}
	}
	links := LinksBody{First: href("page", "1")}
	if !p.OnlyNext && page.Number > 1 && (page.Number-1)*page.Size <= maxOffset {
		links.Prev = href("page", strconv.Itoa(page.Number-1))
	}
	if next != nil {
		text, err := p.makeCursor(ctx, cursor{At: next.At.UnixMilli(), ID: next.ID, Page: page.Number + 1, Issued: p.Now.Unix()})
		if err != nil {
			return LinksBody{}, err
		}
		links.Next = href("cursor", text)
	}
	return links, nil
}

// LinksBody is links in the answer of a list.
type LinksBody struct {
	First LinkBody `json:"first"`
	Prev  LinkBody `json:"prev"`
	Next  LinkBody `json:"next"`
}

// LinkBody is one link; an empty object if there is no such page.
type LinkBody struct {
	Href string `json:"href,omitempty"`
}

// Fit returns the views of as many entries as fit into one page, at least one. If it
// returns fewer than were found, the next page must begin after the last of them.
func Fit[T, B any](found []T, show func(T) B) []B {
	shown := make([]B, 0, len(found))
	size := 0
	for _, f := range found {
		entry := show(f)
		if size += len(JSON(http.StatusOK, entry).Body) + len(","); size > maxPageBytes && len(shown) > 0 {
			break
		}
		shown = append(shown, entry)
	}
	return shown
}

// signed returns what the MAC of a cursor signs.
func (p Pager) signed(payload []byte) [][]byte {
	return [][]byte{[]byte(p.Owner), []byte(p.Path), []byte(p.Filters.Encode()), payload}
}

func (p Pager) makeCursor(ctx context.Context, c cursor) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding a cursor: %w", err)
	}
	mac, err := p.Sealer.MAC(ctx, cursorPurpose, p.signed(payload)...)
	if err != nil {
		return "", fmt.Errorf("signing a cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(mac[:cursorMAC], payload...)), nil
}

func (p Pager) parseCursor(ctx context.Context, text string) (c cursor, ok bool, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder ignores line breaks; our cursors have none.
	if err != nil || len(raw) <= cursorMAC || strings.ContainsAny(text, "\r\n") {
		return cursor{}, false, nil //nolint:nilerr // ok is false: not our cursor
	}
	signed, err := p.Sealer.Verify(ctx, raw[:cursorMAC], cursorPurpose, p.signed(raw[cursorMAC:])...)
	if err != nil {
		return cursor{}, false, fmt.Errorf("verifying a cursor: %w", err)
	}
	if !signed || json.Unmarshal(raw[cursorMAC:], &c) != nil || p.Now.Sub(time.Unix(c.Issued, 0)) > cursorLife {
		return cursor{}, false, nil //nolint:nilerr // ok is false: not our cursor, or too old
	}
	return c, true, nil
}
