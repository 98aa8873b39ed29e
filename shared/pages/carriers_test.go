package pages_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/pages"
	"carrierlink/shared/pages/pagestest"
)

// TestPagesOfCarriers compares the pages about carriers with testdata/carriers, from <main> on
// and without their pictures, which have tests of their own.
func TestPagesOfCarriers(t *testing.T) {
	update := flag.Lookup("update").Value.String() == "true"
	n := 0
	for _, f := range pagestest.Fixtures() {
		first, _, _ := strings.Cut(f.Name, "-")
		switch first {
		case "overview", "carriers", "connection", "link", "change", "rollback", "disconnect", "revealed", "timeline":
		default:
			continue
		}
		n++
		t.Run(f.Name, func(t *testing.T) {
			got := mainOf(t, f)
			file := filepath.Join("testdata", "carriers", f.Name+".html")
			if update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; go test -update writes the file", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs, -want +got; go test -update writes it:\n%s", file, diff)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "carriers", "*.html"))
	if err != nil || len(files) != n || n == 0 {
		t.Errorf("testdata/carriers has %d files (%v), want %d, one for each fixture", len(files), err, n)
	}
}

// mainOf is what a page has in <main>, a line for each element, without pictures.
func mainOf(t *testing.T, f pagestest.Fixture) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.Page.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(b.String(), "<main")
	body, _, _ = strings.Cut(body, "</main>")
	var kept strings.Builder
	for body != "" {
		text, rest, found := strings.Cut(body, "<svg")
		kept.WriteString(text)
		if body = ""; found {
			_, body, _ = strings.Cut(rest, "</svg>")
		}
	}
	return strings.ReplaceAll("<main"+kept.String(), "><", ">\n<") + "\n"
}

// TestEntriesOfEveryKind: every event that a timeline lists has a sentence of its own, and every
// kind of difference, too.
func TestEntriesOfEveryKind(t *testing.T) {
	c := linked()
	said := map[string]effects.EventType{}
	for _, kind := range []pages.Kind{pages.KindAll, pages.KindChecks, pages.KindChanges, pages.KindNews, pages.KindKey} {
		if got := pages.ParseKind(string(kind)); got != kind {
			t.Errorf("ParseKind(%q) = %q", kind, got)
		}
		for _, e := range kind.Events() {
			entry := pages.EntryOfEvent(frame(), c.Carrier, effects.Recorded{Event: effects.Event{Type: e, At: now, Data: []byte(`{`)}})
			if other, twice := said[entry.What]; strings.Contains(entry.What, "_") || entry.What == "" || twice && other != e {
				t.Errorf("%s is %q, as %s", e, entry.What, other)
			}
			said[entry.What] = e
		}
	}
	if len(pages.KindChecks.Events()) != 0 || !pages.KindAll.Checks() || pages.KindKey.Checks() || pages.ParseKind("<script>") != pages.KindAll {
		t.Error("the kinds are mixed up")
	}
	for _, d := range []connection.DifferenceType{
		connection.ChangedExpired, connection.ChangedValidTo, connection.ChangedCreditBlocked, connection.ChangedAddress, connection.ProductAdded, connection.ProductRemoved,
		connection.ProductRecoded, connection.ProductExpired, connection.ProductValidTo, connection.ChangedField,
	} {
		for _, to := range []string{"true", "false", "2028-01-01"} {
			entry := pages.EntryOfCheck(c.Carrier, connection.HistoryEntry{Changes: []connection.Difference{{Type: d, ProductID: "7D55", From: "x", To: to}}})
			if len(entry.Details) != 1 || !strings.HasSuffix(entry.Details[0], ".") {
				t.Errorf("%s to %s is %q", d, to, entry.Details)
			}
		}
	}
}
