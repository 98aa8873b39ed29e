package stack

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestFrontDoorPaths(t *testing.T) {
	// The emulator answers with the request target as received.
	emulator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RequestURI)
	}))
	defer emulator.Close()
	stage, err := url.Parse(emulator.URL + "/_aws/execute-api/abc/live")
	if err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name, path, asIs, again string
	}{
		{"plain", "/v1/carriers/se-1/account", "/v1/carriers/se-1/account", "/v1/carriers/se-1/account"},
		{"root", "/", "/", "/"},
		{"slash", "/v1/a%2Fb", "/v1/a%2Fb", "/v1/a%252Fb"},
		{"lower case hex", "/v1/a%2fb", "/v1/a%2fb", "/v1/a%252fb"},
		{"percent", "/v1/100%25", "/v1/100%25", "/v1/100%2525"},
		{"blank", "/v1/a%20b", "/v1/a%20b", "/v1/a%2520b"},
		{"plus", "/v1/a+b", "/v1/a+b", "/v1/a+b"},
		{"not ASCII", "/v1/caf%C3%A9", "/v1/caf%C3%A9", "/v1/caf%25C3%25A9"},
		{"dots", "/v1/%2e%2e/x", "/v1/%2e%2e/x", "/v1/%252e%252e/x"},
		{"needlessly escaped", "/v1/%61", "/v1/%61", "/v1/%2561"},
		{"query untouched", "/v1/a?x=%2F&x=2", "/v1/a?x=%2F&x=2", "/v1/a?x=%2F&x=2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for escapeAgain, want := range map[bool]string{false: test.asIs, true: test.again} {
				door := httptest.NewServer(frontDoor(stage, escapeAgain))
				defer door.Close()
				response, err := http.Get(door.URL + test.path) //nolint:noctx // a server of this test
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != stage.Path+want {
					t.Errorf("front door(escapeAgain %t) asked for %s, want %s", escapeAgain, got, stage.Path+want)
				}
			}
		})
	}
}

// Pages need what a browser says about itself, and each cookie.
func TestFrontDoorForBrowsers(t *testing.T) {
	emulator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "__Host-session=1; Path=/; HttpOnly; Secure; SameSite=Lax")
		w.Header().Add("Set-Cookie", "other=2; Path=/")
		w.Header().Set("Location", "/portal?done=signed-out")
		w.WriteHeader(http.StatusSeeOther)
		_, _ = io.WriteString(w, r.Host+" "+r.Header.Get("Origin")+" "+r.Header.Get("Sec-Fetch-Site")+" "+r.Header.Get("Cookie"))
	}))
	defer emulator.Close()
	stage, err := url.Parse(emulator.URL + "/_aws/execute-api/abc/live")
	if err != nil {
		t.Fatal(err)
	}
	door := httptest.NewServer(frontDoor(stage, true))
	defer door.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, door.URL+"/portal/sign-in", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Origin": {door.URL}, "Sec-Fetch-Site": {"same-origin"}, "Cookie": {"__Host-session=0; a=b"}}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if want := stage.Host + " " + door.URL + " same-origin __Host-session=0; a=b"; err != nil || string(body) != want {
		t.Errorf("the emulator got %q, %v, want %q", body, err, want)
	}
	if cookies := response.Header.Values("Set-Cookie"); len(cookies) != 2 || response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != "/portal?done=signed-out" {
		t.Errorf("the browser got %d, %v", response.StatusCode, response.Header)
	}
}

func TestFrontDoorWithoutEmulator(t *testing.T) {
	emulator := httptest.NewServer(http.NotFoundHandler())
	stage, err := url.Parse(emulator.URL)
	if err != nil {
		t.Fatal(err)
	}
	emulator.Close()
	recorder := httptest.NewRecorder()
	frontDoor(stage, false).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/health", nil))
	if recorder.Code != http.StatusBadGateway {
		t.Errorf("status = %d, want 502", recorder.Code)
	}
}
