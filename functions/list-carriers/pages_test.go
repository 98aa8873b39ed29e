package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

// ids returns the connections of a page.
func ids(body views.CarriersPage) []string {
	var all []string
	for _, c := range body.Carriers {
		all = append(all, c.CarrierID)
	}
	return all
}

func TestPagesRefused(t *testing.T) {
	d := newFront(t)
	for _, id := range []string{"se-1", "se-2", "se-3"} {
		d.link(t, verified(id, start()), "")
	}
	cursor := func(who string, headers ...string) string {
		t.Helper()
		u, err := url.Parse(functiontest.Read[views.CarriersPage](t, d.ask(who, "/v1/carriers?page_size=1", headers...), http.StatusOK).Links.Next.Href)
		if err != nil || u.Query().Get("cursor") == "" {
			t.Fatalf("no cursor in %v, %v", u, err)
		}
		return u.Query().Get("cursor")
	}
	mine := cursor("account 71")
	d.link(t, connection.Connection{ID: "se-4", AccountID: 72, Carrier: carrier.StarTrack, AccountNumber: "09912345", Status: connection.Active}, "")
	d.link(t, connection.Connection{ID: "se-5", AccountID: 72, Carrier: carrier.StarTrack, AccountNumber: "09912346", Status: connection.Active}, "")
	for _, tc := range []struct {
		name, query string
		want        []string
	}{
		{"everything", "page=0&page_size=501&cursor=x", []string{"400", "invalid_field_value page", "invalid_field_value page_size", "invalid_field_value cursor"}},
		{"twice", "page=1&page=1", []string{"400", "invalid_field_value page"}},
		{"an empty cursor", "cursor=", []string{"400", "invalid_field_value cursor"}},
		{"too far", "page=21&page_size=500", []string{"400", "invalid_field_value page"}},
		{"another account's cursor", "cursor=" + cursor("account 72"), []string{"400", "invalid_field_value cursor"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, functiontest.Problems(t, d.ask("account 71", "/v1/carriers?"+tc.query))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	d.Clock = d.Clock.Add(24*time.Hour + time.Second)
	if diff := cmp.Diff([]string{"400", "invalid_field_value cursor"}, functiontest.Problems(t, d.ask("account 71", "/v1/carriers?cursor="+mine))); diff != "" {
		t.Errorf("a cursor older than a day (-want +got):\n%s", diff)
	}
}

// TestPages reads pages by number and by cursor, as merchant and as partner, with several
// connections of the same time.
func TestPages(t *testing.T) {
	d := newFront(t)
	// Two of each time, in the order of their ids.
	want := []string{"se-7", "se-9", "se-3", "se-6", "se-1", "se-2", "se-8"}
	for i, id := range slices.Backward(want) {
		d.link(t, verified(id, start().Add(time.Duration(i/2)*time.Millisecond)), "")
	}
	path := "/v1/carriers?page_size=3"
	for page, first := 1, 0; first < len(want); page, first = page+1, first+3 {
		shown := want[first:min(first+3, len(want))]
		byNumber := functiontest.Read[views.CarriersPage](t, d.ask("account 71", fmt.Sprintf("/v1/carriers?page_size=3&page=%d", page)), http.StatusOK)
		byCursor := functiontest.Read[views.CarriersPage](t, d.ask([]string{"account 71", "partner 5"}[page%2], path, "On-Behalf-Of", "71"), http.StatusOK)
		for name, got := range map[string]views.CarriersPage{"number": byNumber, "cursor": byCursor} {
			if diff := cmp.Diff(shown, ids(got)); diff != "" || got.Page != page || got.PageSize != 3 {
				t.Errorf("page %d of %d by %s (-want +got):\n%s", got.Page, page, name, diff)
			}
		}
		path = byCursor.Links.Next.Href
	}
	if path != "" {
		t.Errorf("the last page has a next link: %s", path)
	}
	past := d.ask("account 71", "/v1/carriers?page=9")
	if body := functiontest.Read[views.CarriersPage](t, past, http.StatusOK); len(body.Carriers) != 0 || !strings.Contains(past.Body, `"carriers":[]`) || body.Page != 9 || body.Links.Prev.Href == "" {
		t.Errorf("past the end: %s", past.Body)
	}
}

// TestPagesWhileUnlinking: a connection that is unlinked between two pages, even the one
// that the cursor stands for, does not hide others.
func TestPagesWhileUnlinking(t *testing.T) {
	d := newFront(t)
	for i, id := range []string{"se-3", "se-1", "se-4", "se-2"} {
		d.link(t, verified(id, start().Add(time.Duration(i)*time.Second)), "")
	}
	first := functiontest.Read[views.CarriersPage](t, d.ask("account 71", "/v1/carriers?page_size=2"), http.StatusOK)
	d.unlink(t, "se-1")
	d.unlink(t, "se-3")
	second := functiontest.Read[views.CarriersPage](t, d.ask("account 71", first.Links.Next.Href), http.StatusOK)
	if diff := cmp.Diff([]string{"se-4", "se-2"}, ids(second)); diff != "" || second.Links.Next.Href != "" {
		t.Errorf("the second page (-want +got):\n%s", diff)
	}
}

// product is a product of a contract, with all members that the carrier sends (infra/docs/auspost.md, "Get Accounts").
const product = `{"type":"PARCEL POST + SIGNATURE %02d","group":"Parcel Post","product_id":"7D%02d","contract":{"valid_from":"2021-07-01",` +
	`"valid_to":"2027-06-30","expired":false,"volumetric_pricing":true,"max_item_count":%d,"cubing_factor":250},"authority_to_leave_threshold":500.0,` +
	`"features":{"TRANSIT_COVER":{"type":"TRANSIT_COVER","attributes":{"rate":2.5,"included_cover":100,"maximum_cover":5000},` +
	`"price":{"calculated_price":0.00,"calculated_gst":0.00},"bundled":false}},"options":{"signature_on_delivery_option":true,"dangerous_goods_allowed":false}}`

// TestLargeAccount lists 100 connections with 60 products each. Every page is smaller than
// 1 MB, whatever its page_size, and together the pages have each connection once.
func TestLargeAccount(t *testing.T) {
	d := newFront(t)
	products := make([]string, 60)
	for i := range products {
		products[i] = fmt.Sprintf(product, i, i, i%3)
	}
	text := contract(products...)
	var want []string
	for i := range 100 {
		c := verified(fmt.Sprintf("se-48210973651%05d", i*7919%100_000), start().Add(time.Duration(i)*time.Second))
		c.Metadata = map[string]string{"warehouse": strings.Repeat("x", 200)}
		want = append(want, c.ID)
		d.link(t, c, text)
	}
	for size, pages := range map[int]int{1: 100, 25: 4, 500: 2} {
		var got []string
		walked, largest := 0, 0
		for path := fmt.Sprintf("/v1/carriers?page_size=%d", size); path != ""; walked++ {
			resp := d.ask("account 71", path)
			largest = max(largest, len(resp.Body))
			body := functiontest.Read[views.CarriersPage](t, resp, http.StatusOK)
			if n := len(body.Carriers); n > 0 && len(body.Carriers[0].Services) != 60 {
				t.Fatalf("%d services, want 60", len(body.Carriers[0].Services))
			}
			got, path = append(got, ids(body)...), body.Links.Next.Href
		}
		if diff := cmp.Diff(want, got); diff != "" || walked != pages || largest >= 1_000_000 {
			t.Errorf("page_size=%d: %d pages, want %d; the largest has %d bytes; connections (-want +got):\n%s", size, walked, pages, largest, diff)
		}
		t.Logf("page_size=%d: %d pages, the largest of %d bytes", size, walked, largest)
	}
}

// TestPageLinks: links are absolute if the address of the API is known.
func TestPageLinks(t *testing.T) {
	d := newFront(t)
	d.link(t, verified("se-1", start()), "")
	d.link(t, verified("se-2", start()), "")
	d.URL = "https://api.example.com"
	links := functiontest.Read[views.CarriersPage](t, d.ask("account 71", "/v1/carriers?page_size=1"), http.StatusOK).Links
	next, found := strings.CutPrefix(links.Next.Href, "https://api.example.com/v1/carriers?cursor=")
	if want := (httpapi.LinkBody{Href: "https://api.example.com/v1/carriers?page=1&page_size=1"}); links.First != want || links.Prev.Href != "" || !found || next == "" {
		t.Errorf("links = %+v", links)
	}
}
