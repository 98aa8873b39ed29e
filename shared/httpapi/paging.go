package httpapi

import (
	"context"
	"crypto/hmac"
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
	// maxOffset is how far page numbers reach: what a page number passes over is
	// read and dropped. Cursors walk further at the price of a page each.
	maxOffset = 10_000
	// cursorLife is how long a cursor is good for.
	cursorLife = 24 * time.Hour
	cursorMAC  = 16 // bytes
	// largestPage is how many bytes of entries a page holds: with what stands
	// around them it is below 1 MB.
	largestPage = 990_000
)

// Position is where a page of a list ends: the next page begins behind it.
type Position struct {
	At time.Time // what the list is ordered by, to the millisecond
	ID string    // tells entries of one time apart
}

// Page is which part of a list a request asks for.
type Page struct {
	Number int // from 1
	Size   int
	After  *Position // of a cursor: the page begins behind it
}

// Skip is how many entries a page number passes over; none with a cursor.
func (p Page) Skip() int {
	if p.After != nil {
		return 0
	}
	return (p.Number - 1) * p.Size
}

// cursor is what a cursor says, and signs together with its owner and filters.
type cursor struct {
	At     int64  `json:"t"` // of the last entry, epoch milliseconds
	ID     string `json:"i"` // its id
	Page   int    `json:"p"` // number of the page that it leads to
	Issued int64  `json:"s"` // epoch seconds
}

// Pager reads and writes the paging of one list.
type Pager struct {
	Sealer Sealer
	Now    time.Time
	Owner  string // whose list it is; a cursor is good for one owner
	Path   string // of the list, without what an address has before it
	// Filters are the query parameters that choose what is in the list, and in
	// which order: a cursor is good for the same ones only.
	Filters url.Values
}

// Parse reads page, page_size and cursor. Problems are fault.Invalid, in this
// order. A cursor that is forged, cut, another owner's, of other filters or
// older than a day is one of them.
func (p Pager) Parse(ctx context.Context, req *Request) (Page, fault.List, error) {
	page := Page{Number: 1, Size: DefaultPageSize}
	problems := slices.Concat(req.Number("page", &page.Number, 1, maxOffset), req.Number("page_size", &page.Size, 1, MaxPageSize))
	if len(problems) == 0 && len(req.Query("cursor")) == 0 && page.Number*page.Size > maxOffset {
		return page, fault.List{fault.Field(fault.Invalid, "page",
			"page × page_size must be at most %d; follow links.next.href, which carries a cursor, to walk further.", maxOffset)}, nil
	}
	var failure error
	problems = append(problems, req.Single("cursor", func(text string) *fault.Error {
		var c cursor
		var ok bool
		if c, ok, failure = p.open(ctx, text); !ok {
			return fault.Field(fault.Invalid, "cursor", "cursor is not one of this list, or is older than a day; begin without it.")
		}
		page.Number = c.Page
		page.After = &Position{At: time.UnixMilli(c.At).UTC(), ID: c.ID}
		return nil
	})...)
	return page, problems, failure
}

// Links are the addresses of a page and its neighbours, for the answer to req.
// next is nil on the last page.
func (p Pager) Links(ctx context.Context, req *Request, page Page, next *Position) (LinksBody, error) {
	href := func(name, value string) LinkBody {
		q := url.Values{}
		maps.Copy(q, p.Filters)
		q.Set("page_size", strconv.Itoa(page.Size))
		q.Set(name, value)
		return LinkBody{req.Address(p.Path) + "?" + q.Encode()}
	}
	links := LinksBody{First: href("page", "1")}
	if page.Number > 1 && (page.Number-1)*page.Size <= maxOffset {
		links.Prev = href("page", strconv.Itoa(page.Number-1))
	}
	if next != nil {
		text, err := p.seal(ctx, cursor{At: next.At.UnixMilli(), ID: next.ID, Page: page.Number + 1, Issued: p.Now.Unix()})
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

// LinkBody is one link; an empty object where there is no such page.
type LinkBody struct {
	Href string `json:"href,omitempty"`
}

// Fit shows what was found, as far as it goes into one page: a page that would
// be too large ends early, and its next link has to go on behind what is shown.
func Fit[T, B any](found []T, show func(T) B) []B {
	shown := make([]B, 0, len(found))
	size := 0
	for _, f := range found {
		entry := show(f)
		if size += len(JSON(http.StatusOK, entry).Body) + len(","); size > largestPage && len(shown) > 0 {
			break
		}
		shown = append(shown, entry)
	}
	return shown
}

func (p Pager) mac(ctx context.Context, payload []byte) ([]byte, error) {
	mac, err := p.Sealer.MAC(ctx, "cursor", []byte(p.Owner), []byte(p.Path), []byte(p.Filters.Encode()), payload)
	if err != nil {
		return nil, fmt.Errorf("signing a cursor: %w", err)
	}
	return mac[:cursorMAC], nil
}

func (p Pager) seal(ctx context.Context, c cursor) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding a cursor: %w", err)
	}
	mac, err := p.mac(ctx, payload)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(mac, payload...)), nil
}

func (p Pager) open(ctx context.Context, text string) (c cursor, ok bool, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder passes over line breaks; ours have none.
	if err != nil || len(raw) <= cursorMAC || strings.ContainsAny(text, "\r\n") {
		return cursor{}, false, nil //nolint:nilerr // what does not decode is no cursor of ours
	}
	mac, err := p.mac(ctx, raw[cursorMAC:])
	if err != nil {
		return cursor{}, false, err
	}
	if !hmac.Equal(mac, raw[:cursorMAC]) || json.Unmarshal(raw[cursorMAC:], &c) != nil {
		return cursor{}, false, nil //nolint:nilerr // nor is what we did not sign
	}
	if age := p.Now.Sub(time.Unix(c.Issued, 0)); age > cursorLife {
		return cursor{}, false, nil
	}
	return c, true, nil
}
