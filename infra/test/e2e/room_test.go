package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRoomOfTheAPI: the deployed API compresses, and its stage limits the requests to each route, as template.yaml says.
// Neither emulator limits anything, so this is all that can be seen here.
func TestRoomOfTheAPI(t *testing.T) {
	t.Parallel()
	read := func(path string, into any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service.EmulatorURL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := sendSigned(t.Context(), req, "apigateway", nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatalf("%s: %v in %.300s", path, err, body)
		}
	}
	type restAPI struct {
		ID       string `json:"id"`
		Name     string `json:"name"`
		Compress *int   `json:"minimumCompressionSize"`
	}
	var apis struct {
		Item []restAPI `json:"item"`
	}
	read("/restapis", &apis)
	// TestRestoredTable deploys another one.
	i := slices.IndexFunc(apis.Item, func(a restAPI) bool { return a.Name == "carrierlink-local" })
	if i < 0 {
		t.Fatalf("there are the APIs %v, want carrierlink-local", apis.Item)
	}
	if got := apis.Item[i].Compress; got == nil || *got != 1024 {
		t.Errorf("minimumCompressionSize = %v, want 1024", got)
	}
	type limits struct {
		Rate  float64 `json:"throttlingRateLimit"`
		Burst int     `json:"throttlingBurstLimit"`
	}
	var stage struct {
		Settings map[string]limits `json:"methodSettings"`
	}
	read("/restapis/"+apis.Item[i].ID+"/stages/live", &stage)
	want := map[string]limits{"*/*": {Rate: 100, Burst: 200}}
	if differs("drops the settings of a stage") {
		want = map[string]limits{}
	}
	if diff := cmp.Diff(want, stage.Settings); diff != "" {
		t.Errorf("settings of the stage (-want +got):\n%s", diff)
	}
}

// TestCompression: a caller that accepts gzip gets the same contract, compressed or not. HEAD stays
// without a body.
func TestCompression(t *testing.T) {
	t.Parallel()
	ask := func(method string, header ...string) (status int, encoding string, body []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, service.APIURL+"/v1/openapi.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		transport := &http.Transport{DisableCompression: true}
		defer transport.CloseIdleConnections()
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Content-Encoding"), body
	}
	_, _, plain := ask(http.MethodGet)
	_, encoding, body := ask(http.MethodGet, "Accept-Encoding", "gzip")
	if compressed := encoding == "gzip"; compressed == differs("does not compress") {
		t.Errorf("Content-Encoding = %q", encoding)
	} else if compressed {
		reader, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body, err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
	if !json.Valid(plain) || !slices.Equal(body, plain) {
		t.Errorf("the contract has %d bytes with Accept-Encoding and %d without", len(body), len(plain))
	}
	if status, _, body := ask(http.MethodHead, "Accept-Encoding", "gzip"); status != http.StatusOK || len(body) > 0 {
		t.Errorf("HEAD = %d with %d bytes", status, len(body))
	}
}
