package e2e

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// page makes a request of a browser and follows no redirect.
func page(t *testing.T, method, path string, header map[string]string, body string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, service.APIURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	start := time.Now()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	shown, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: shown, took: time.Since(start)}
}

var assetLinks = regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`)

// Pages and assets come through the gateway as the function made them.
func TestPages(t *testing.T) {
	t.Parallel()
	signIn := page(t, http.MethodGet, "/portal/sign-in?next=%2Fportal%2Faccount", nil, "")
	links := assetLinks.FindAllSubmatch(signIn.body, -1)
	if signIn.status != http.StatusOK || signIn.header.Get("Content-Type") != "text/html; charset=utf-8" || len(links) < 2 || !bytes.Contains(signIn.body, []byte(`"/portal/account"`)) {
		t.Fatalf("the page for signing in: %d, %v:\n%s", signIn.status, signIn.header, signIn.body)
	}
	for _, name := range []string{
		"Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy", "X-Request-Id", "Cache-Control",
	} {
		if len(signIn.header.Values(name)) != 1 {
			t.Errorf("the page for signing in: %s is %q, want one value", name, signIn.header.Values(name))
		}
	}
	for _, link := range links {
		path := string(link[1])
		got := page(t, http.MethodGet, path, nil, "")
		if got.status != http.StatusOK || got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || len(got.body) == 0 {
			t.Errorf("GET %s: %d, %v", path, got.status, got.header)
		}
		if head := page(t, http.MethodHead, path, nil, ""); head.status != http.StatusOK || len(head.body) > 0 || head.header.Get("Content-Type") != got.header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d, %v", path, head.status, head.header)
		}
	}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Origin": service.APIURL, "Sec-Fetch-Site": "same-origin"}
	foreign := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
	for _, tc := range []struct {
		name, method, path string
		header             map[string]string
		body               string
		status             int
	}{
		{"no such page", "GET", "/portal/none", nil, "", 404},
		{"no such page, escaped", "GET", "/portal/sign%2Din%2Fx", nil, "", 404},
		{"an asset of another release", "GET", "/assets/app.00000000.css", nil, "", 404},
		{"another method", "POST", "/portal/forgot/sent", form, "", 405},
		{"a form of another site", "POST", "/portal/sign-in", foreign, "email=a%40example.com", 403},
		{"a form that is too large", "POST", "/portal/sign-in", form, "email=" + strings.Repeat("x", 70_000), 413},
		{"a form that is JSON", "POST", "/portal/sign-in", map[string]string{"Content-Type": "application/json"}, "{}", 415},
		{"a form with wrong input", "POST", "/portal/sign-in", form, url.Values{"email": {"🐨 <script>"}}.Encode(), 422},
		{"an old browser at our address", "POST", "/portal/sign-in", map[string]string{"Content-Type": form["Content-Type"], "Origin": service.APIURL}, "email=x", 422},
		{"not signed in", "GET", "/portal/account", nil, "", 303},
		{"a session of nobody", "GET", "/portal/account", map[string]string{"Cookie": "a=b; __Host-session=none"}, "", 303},
	} {
		got := page(t, tc.method, tc.path, tc.header, tc.body)
		if got.status != tc.status || got.header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %s %s: %d, %v, want %d:\n%.600s", tc.name, tc.method, tc.path, got.status, got.header, tc.status, got.body)
		}
		if tc.status == http.StatusUnprocessableEntity && tc.body != "email=x" && !bytes.Contains(got.body, []byte("🐨 &lt;script&gt;")) {
			t.Errorf("%s: the form lost what was entered:\n%s", tc.name, got.body)
		}
		if location := got.header.Get("Location"); tc.status == http.StatusSeeOther && !strings.HasPrefix(location, "/portal/sign-in?") {
			t.Errorf("%s: to %q", tc.name, location)
		}
	}
}
