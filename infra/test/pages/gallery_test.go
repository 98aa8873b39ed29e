// Package pages opens every page of shared/pages/pagestest in a browser: in light and dark, at 320 and at 1100 px, forms also
// without JavaScript. Nothing may be wrong with any of them. With -screens it writes pictures.
package pages

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/browser"
	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/pages/pagestest"
	"carrierlink/shared/web"
)

var screens = flag.String("screens", "", "write <fixture>-<theme>-<width>.png into this directory")

var chromium *browser.Browser

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" {
		os.Exit(m.Run())
	}
	var err error
	if chromium, err = browser.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	chromium.Close()
	os.Exit(status)
}

// zoomed are the fixtures that are looked at at 200 %, too: a form, a text, facts, pictures.
var zoomed = []string{"sign-in-refused", "help-key", "account-crowded", "connection-crowded"}

// widths of a phone and of a desk.
var widths = []int{320, 1100}

// gallery serves the fixtures with the site that serves the account page, and returns its address.
func gallery(t *testing.T) string {
	t.Helper()
	site := &web.Site{Assets: pages.Assets(), Log: slog.New(slog.DiscardHandler), Error: func(r *http.Request, status int, err error) web.Page {
		t.Errorf("%s %s = %d: %v", r.Method, r.URL.Path, status, err)
		return pages.Problem(pages.Frame{}, status, err)
	}}
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	site.PublicURL = server.URL
	for _, f := range pagestest.Fixtures() {
		site.Routes = append(site.Routes, web.Route{Pattern: "GET " + pathOf(f), Handler: func(w http.ResponseWriter, r *http.Request) error {
			return web.Render(w, r, http.StatusOK, f.Page)
		}})
	}
	site.Routes = append(site.Routes, web.Route{Pattern: "GET /assets/accent/{name}", Handler: func(w http.ResponseWriter, r *http.Request) error {
		asset, ok := pages.Accent("#" + strings.TrimSuffix(r.PathValue("name"), ".css"))
		if !ok {
			return fault.New(fault.NotFound, "There is no such colour.")
		}
		return web.Send(w, asset)
	}})
	server.Config.Handler = gateway(t, site)
	return server.URL
}

func pathOf(f pagestest.Fixture) string { return "/portal/" + f.Name }

// gateway stands for API Gateway in front of a site.
func gateway(t *testing.T, site *web.Site) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		event := events.APIGatewayProxyRequest{
			HTTPMethod: r.Method, Resource: "/" + first + "/{proxy+}", Path: r.URL.Path, PathParameters: map[string]string{"proxy": rest},
			MultiValueHeaders: r.Header, MultiValueQueryStringParameters: r.URL.Query(), Body: string(body),
			RequestContext: events.APIGatewayProxyRequestContext{Path: r.URL.Path},
		}
		event.MultiValueHeaders["Host"] = []string{r.Host}
		answer, err := site.Serve(r.Context(), event)
		text := []byte(answer.Body)
		if answer.IsBase64Encoded {
			var decoding error
			text, decoding = base64.StdEncoding.DecodeString(answer.Body)
			err = errors.Join(err, decoding)
		}
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		for name, values := range answer.MultiValueHeaders {
			w.Header()[http.CanonicalHeaderKey(name)] = values
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(text)
	}
}

// views are all ways in which a fixture is looked at.
func views(t *testing.T, f pagestest.Fixture) []browser.View {
	t.Helper()
	var all []browser.View
	for _, width := range widths {
		for _, dark := range []bool{false, true} {
			all = append(all, browser.View{Width: width, Dark: dark})
		}
	}
	var text bytes.Buffer
	if err := f.Page.Render(t.Context(), &text); err != nil {
		t.Fatalf("rendering %s: %v", f.Name, err)
	}
	if strings.Contains(text.String(), "<form") {
		all = append(all, browser.View{Width: 320, NoScript: true}, browser.View{NoScript: true, Dark: true})
	}
	if slices.Contains(zoomed, f.Name) {
		all = append(all, browser.View{Width: 1280, Zoom: 200}, browser.View{Width: 1280, Zoom: 200, Dark: true})
	}
	return all
}

// A view has one tab, which looks at one page after the other.
func TestGallery(t *testing.T) {
	base := gallery(t)
	byView := map[browser.View][]pagestest.Fixture{}
	for _, f := range pagestest.Fixtures() {
		for _, v := range views(t, f) {
			byView[v] = append(byView[v], f)
		}
	}
	t.Run("views", func(t *testing.T) {
		for view, fixtures := range byView {
			t.Run(view.String(), func(t *testing.T) {
				t.Parallel()
				tab := chromium.Open(t, base, view)
				for _, f := range fixtures {
					look(t, tab, f, view)
				}
			})
		}
	})
}

func look(t *testing.T, tab *browser.Tab, f pagestest.Fixture, view browser.View) {
	t.Helper()
	tab.Go(pathOf(f))
	if got := tab.Status(); got != http.StatusOK {
		t.Fatalf("%s = %d, want 200", pathOf(f), got)
	}
	if *screens != "" && !view.NoScript && view.Zoom == 0 {
		theme := "light"
		if view.Dark {
			theme = "dark"
		}
		tab.Screenshot(filepath.Join(*screens, f.Name+"-"+theme+"-"+strconv.Itoa(view.Width)+".png"))
	}
	tab.Check()
}

// Names are those of files and of paths, and there is one fixture of each.
func TestFixtures(t *testing.T) {
	seen := map[string]bool{}
	var unknown []string
	for _, f := range pagestest.Fixtures() {
		if seen[f.Name] || f.Name == "" || strings.Trim(f.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("the fixture %q is there twice, or its name is no name", f.Name)
		}
		seen[f.Name] = true
	}
	for _, name := range zoomed {
		if !seen[name] {
			unknown = append(unknown, name)
		}
	}
	if diff := cmp.Diff([]string(nil), unknown); diff != "" {
		t.Errorf("fixtures that are zoomed and do not exist (-want +got):\n%s", diff)
	}
}
