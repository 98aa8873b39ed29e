package httpapi_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
)

func sealer() *seal.Sealer {
	return seal.New(func(context.Context) (secret.Text, error) { return secret.New("the service secret"), nil }, time.Now)
}

// claims stores claims in memory.
type claims struct {
	records map[string]effects.Record
	fail    error
}

func (c *claims) ClaimIdempotency(_ context.Context, rec effects.Record, _ time.Time) error {
	if c.fail != nil {
		return c.fail
	}
	if c.records == nil {
		c.records = map[string]effects.Record{}
	}
	id := rec.Scope + "|" + rec.Key
	if old, ok := c.records[id]; ok {
		return &effects.Replay{Record: old}
	}
	c.records[id] = rec
	return nil
}

func (c *claims) ReleaseIdempotency(_ context.Context, rec effects.Record) error {
	id := rec.Scope + "|" + rec.Key
	if old := c.records[id]; old.ClaimID == rec.ClaimID && !old.Finished() && c.fail == nil {
		delete(c.records, id)
	}
	return c.fail
}

func keyed(id, key, body string) *httpapi.Request {
	e := post(body)
	e.Headers = map[string]string{"idempotency-key": key}
	return httpapi.NewRequest(id, e)
}

func now() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

// caller is a caller with this scope.
type caller string

func (c caller) Scope() string { return string(c) }

func (c caller) By() effects.By { return effects.By{KeyID: 7, PartnerID: 5, AccountID: int64(len(c))} }

func begin(t *testing.T, req *httpapi.Request, who caller) *httpapi.Change {
	t.Helper()
	c, err := httpapi.NewChange(t.Context(), sealer(), req, who, now())
	if err != nil {
		t.Fatalf("NewChange = %v", err)
	}
	return c
}

// record returns the record that a first request leaves behind.
func record(t *testing.T, req *httpapi.Request, who caller, resp *httpapi.Response) *effects.Record {
	t.Helper()
	fx, err := begin(t, req, who).Effects(t.Context(), resp)
	if err != nil || fx.Answer == nil {
		t.Fatalf("Effects = %v, %v", fx, err)
	}
	return fx.Answer
}

func TestIdempotencyKeyForm(t *testing.T) {
	tests := []struct {
		name, key string
		want      []string
	}{
		{"too long by one", strings.Repeat("k", 256), []string{"length Idempotency-Key"}},
		{"beyond ASCII", "clé", []string{"invalid Idempotency-Key"}},
		{"tab", "a\tb", []string{"invalid Idempotency-Key"}},
		{"NUL", "a\x00", []string{"invalid Idempotency-Key"}},
		{"DEL", "a\x7f", []string{"invalid Idempotency-Key"}},
		{"line break", "a\nb", []string{"invalid Idempotency-Key"}},
		{"longest", strings.Repeat("k", 255), nil},
		{"every printable character", " !\"#$%&'()*+,-./0:;<=>?@A[\\]^_`a{|}~", nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			_, err := httpapi.NewChange(t.Context(), sealer(), keyed("id", tc.key, "{}"), caller("caller"), now())
			if diff := cmp.Diff(tc.want, told(err)); diff != "" {
				t.Errorf("NewChange (-want +got):\n%s", diff)
			}
			if err != nil && strings.Contains(err.Error(), tc.key) {
				t.Errorf("the problem quotes the key: %v", err)
			}
		})
	}
}

func TestWithoutIdempotencyKey(t *testing.T) {
	broken := seal.New(func(context.Context) (secret.Text, error) { return secret.Text{}, errors.New("must not be read") }, time.Now)
	i, err := httpapi.NewChange(t.Context(), broken, httpapi.NewRequest("id", post("{}")), caller("caller"), now())
	if err != nil {
		t.Fatalf("NewChange = %v", err)
	}
	c := &claims{fail: errors.New("must not be called")}
	refused := fault.New(fault.CarrierRefused, "m")
	resp, err := httpapi.Claimed(t.Context(), broken, c, httpapi.NewRequest("id", post("{}")), caller("caller"), now(), now(), func(*httpapi.Change) (*httpapi.Response, error) {
		return nil, refused
	})
	if resp != nil || err != error(refused) { //nolint:errorlint // as it came
		t.Errorf("Claimed = %v, %v", resp, err)
	}
	fx, err := i.Effects(t.Context(), httpapi.JSON(200, nil))
	if diff := cmp.Diff(effects.Effects{By: caller("caller").By()}, fx); diff != "" || err != nil {
		t.Errorf("Effects = %v (-want +got):\n%s", err, diff)
	}
}

func TestReplayRefuses(t *testing.T) {
	first := keyed("id 1", "k", `{"a":1}`)
	resp := httpapi.JSON(200, map[string]string{"key": canary})
	rec := record(t, first, "caller", resp)
	running := *rec
	running.Sealed, running.LeaseUntil = nil, now().Add(9*time.Second+1)
	over := running
	over.LeaseUntil = now().Add(-time.Hour)
	moved := *rec
	moved.Sealed = record(t, keyed("id", "k", `{"a":1}`), "another", resp).Sealed
	otherID := post(`{"a":1}`)
	otherID.PathParameters = map[string]string{"thing_id": "2"}
	otherID.Headers = map[string]string{"Idempotency-Key": "k"}
	otherMethod := post(`{"a":1}`)
	otherMethod.HTTPMethod = "PUT"
	otherMethod.Headers = otherID.Headers
	tests := []struct {
		name  string
		req   *httpapi.Request
		found *effects.Record
		want  []string
		retry time.Duration
	}{
		{"another payload", keyed("id 2", "k", `{"a":2}`), rec, []string{"idempotency mismatch Idempotency-Key"}, 0},
		{"the same payload written otherwise", keyed("id 2", "k", `{"a": 1}`), rec, []string{"idempotency mismatch Idempotency-Key"}, 0},
		{"another id in the path", httpapi.NewRequest("id 2", otherID), rec, []string{"idempotency mismatch Idempotency-Key"}, 0},
		{"another method", httpapi.NewRequest("id 2", otherMethod), rec, []string{"idempotency mismatch Idempotency-Key"}, 0},
		{"another payload while running", keyed("id 2", "k", `{"a":2}`), &running, []string{"idempotency mismatch Idempotency-Key"}, 0},
		{"running", keyed("id 2", "k", `{"a":1}`), &running, []string{"state Idempotency-Key"}, time.Second},
		{"running, the lease is over", keyed("id 2", "k", `{"a":1}`), &over, []string{"state Idempotency-Key"}, time.Second},
		{"another's sealed answer", keyed("id 2", "k", `{"a":1}`), &moved, []string{"internal"}, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := begin(t, tc.req, "caller").Replay(t.Context(), &effects.Replay{Record: *tc.found})
			if diff := cmp.Diff(tc.want, told(err)); diff != "" || got != nil {
				t.Fatalf("Replay = %v (-want +got):\n%s", got, diff)
			}
			if after := fault.Of(err)[0].RetryAfter; after != tc.retry {
				t.Errorf("RetryAfter = %v, want %v", after, tc.retry)
			}
		})
	}
}

func TestReplayByteForByte(t *testing.T) {
	body := []byte("{\"key\":\"" + canary + "\",\"x\":\"<&>\u2028é\"}")
	first := &httpapi.Response{Status: 202, Header: map[string]string{"Preference-Applied": "return=existing"}, Body: body}
	rec := record(t, keyed("id 1", "k", `{"a":1}`), "caller", first)
	if len(first.Header) != 1 {
		t.Errorf("Effects changes the response: %v", first.Header)
	}
	got, err := begin(t, keyed("id 2", "k", `{"a":1}`), "caller").Replay(t.Context(), &effects.Replay{Record: *rec})
	if err != nil {
		t.Fatal(err)
	}
	want := &httpapi.Response{
		Status: 202, Body: body,
		Header: map[string]string{"Preference-Applied": "return=existing", "X-Request-Id": "id 1", "Idempotent-Replayed": "true"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Replay (-want +got):\n%s", diff)
	}
}

func TestSealedRecordShowsNothing(t *testing.T) {
	rec := record(t, keyed("id 1", "k", `{"secret":"`+canary+`"}`), "caller", httpapi.JSON(200, map[string]string{"encrypted_api_key": canary}))
	for _, b := range [][]byte{rec.Sealed, rec.PayloadMAC, []byte(rec.Scope + rec.Key + rec.ClaimID)} {
		if bytes.Contains(b, []byte(canary)) || bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString([]byte(canary))[:16])) {
			t.Errorf("the record contains the plain text: %q", b)
		}
	}
	if !rec.ExpiresAt.Equal(now().Add(24 * time.Hour)) {
		t.Errorf("expires at %v, want after 24 hours", rec.ExpiresAt)
	}
}

// TestSpellingsOfAPath: the same ids in another spelling are the same request.
func TestSpellingsOfAPath(t *testing.T) {
	mac := func(parameters ...string) string {
		e := post(`{"a":1}`)
		e.Headers = map[string]string{"Idempotency-Key": "k"}
		e.PathParameters = map[string]string{}
		for i := 0; i < len(parameters); i += 2 {
			e.PathParameters[parameters[i]] = parameters[i+1]
		}
		return string(record(t, httpapi.NewRequest("id", e), "caller", httpapi.JSON(200, nil)).PayloadMAC)
	}
	first := mac("carrier_name", "star_track", "carrier_id", "se-123")
	for _, same := range [][]string{{"startrack", "123"}, {"star%5Ftrack", "se-123"}, {"star%5ftrack", "se%2D123"}} {
		if mac("carrier_name", same[0], "carrier_id", same[1]) != first {
			t.Errorf("%v is another request", same)
		}
	}
	for _, other := range [][]string{{"startrack", "1234"}, {"australia_post", "se-123"}, {"startrack", ""}} {
		if mac("carrier_name", other[0], "carrier_id", other[1]) == first {
			t.Errorf("%v is the same request", other)
		}
	}
	if mac("account_id", "12", "api_key_id", "3") == mac("account_id", "1", "api_key_id", "23") {
		t.Error("ids run together")
	}
}

func TestScopeIsCallerAndRoute(t *testing.T) {
	scope := func(e events.APIGatewayProxyRequest, who caller) string {
		e.Headers = map[string]string{"Idempotency-Key": "k"}
		return record(t, httpapi.NewRequest("id", e), who, httpapi.JSON(200, nil)).Scope
	}
	base := post("{}")
	put, other := base, base
	put.HTTPMethod, other.Resource = "PUT", "/v1/others"
	seen := map[string]string{scope(base, "caller"): "the first"}
	for name, s := range map[string]string{"another caller": scope(base, "caller 2"), "another method": scope(put, "caller"), "another route": scope(other, "caller")} {
		if twin, dup := seen[s]; dup {
			t.Errorf("%s and %s share the scope %q", name, twin, s)
		}
		seen[s] = name
	}
}

// claimed calls Claimed with the request's key.
func claimed(t *testing.T, c *claims, req *httpapi.Request, who caller, do func(i *httpapi.Change) (*httpapi.Response, error)) (*httpapi.Response, error) {
	t.Helper()
	return httpapi.Claimed(t.Context(), sealer(), c, req, who, now(), now().Add(20*time.Second), do)
}

func TestClaimedRefuses(t *testing.T) {
	unheard := func(*httpapi.Change) (*httpapi.Response, error) {
		t.Error("the change is made in spite of the refusal")
		return httpapi.JSON(200, nil), nil
	}
	t.Run("no key", func(t *testing.T) {
		if _, err := claimed(t, &claims{}, keyed("id", "", "{}"), "caller", unheard); !fault.Is(err, fault.Length) {
			t.Errorf("Claimed = %v, want length", err)
		}
	})
	t.Run("the store fails", func(t *testing.T) {
		down := &claims{fail: errors.New("down")}
		if _, err := claimed(t, down, keyed("id", "k", "{}"), "caller", unheard); !errors.Is(err, down.fail) || fault.KindOf(err) != fault.Internal {
			t.Errorf("Claimed = %v, want internal", err)
		}
	})
	t.Run("running", func(t *testing.T) {
		c := &claims{}
		_, err := claimed(t, c, keyed("id 1", "k", "{}"), "caller", func(*httpapi.Change) (*httpapi.Response, error) {
			_, err := claimed(t, c, keyed("id 2", "k", "{}"), "caller", unheard)
			if !fault.Is(err, fault.State) || fault.Of(err)[0].RetryAfter != time.Second {
				t.Errorf("Claimed during the first request = %v, want state with RetryAfter 1s", err)
			}
			return httpapi.JSON(200, nil), nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("the change fails, and then the store", func(t *testing.T) {
		c := &claims{}
		_, err := claimed(t, c, keyed("id", "k", "{}"), "caller", func(*httpapi.Change) (*httpapi.Response, error) {
			c.fail = fault.New(fault.NotFound, "m")
			return nil, fault.New(fault.CarrierRefused, "m")
		})
		if !fault.Is(err, fault.CarrierRefused) || fault.Is(err, fault.NotFound) {
			t.Errorf("Claimed = %v, want the error of the change", err)
		}
	})
}

func TestClaimed(t *testing.T) {
	// made is a change that stores its answer; it counts its calls.
	made := func(c *claims, times *int, failure error) func(i *httpapi.Change) (*httpapi.Response, error) {
		return func(i *httpapi.Change) (*httpapi.Response, error) {
			*times++
			resp := httpapi.JSON(200, "made")
			fx, err := i.Effects(t.Context(), resp)
			if err != nil {
				t.Fatal(err)
			}
			rec := fx.Answer
			if kept := c.records[rec.Scope+"|"+rec.Key]; kept.ClaimID == "" || kept.ClaimID != rec.ClaimID || !kept.LeaseUntil.Equal(now().Add(20*time.Second)) {
				t.Errorf("the record differs from the claim: %+v", rec)
			}
			c.records[rec.Scope+"|"+rec.Key] = *rec
			return resp, failure
		}
	}
	// A change may succeed although it returns an error: the repeat finds its answer.
	for name, failure := range map[string]error{"once": nil, "the answer of the store was lost": errors.New("timeout")} {
		t.Run(name, func(t *testing.T) {
			c, times := &claims{}, 0
			if resp, err := claimed(t, c, keyed("id 1", "k", "{}"), "caller", made(c, &times, failure)); !errors.Is(err, failure) || (resp == nil) != (failure != nil) {
				t.Fatalf("Claimed = %v, %v", resp, err)
			}
			again, err := claimed(t, c, keyed("id 2", "k", "{}"), "caller", made(c, &times, nil))
			if err != nil || string(again.Body) != `"made"` || again.Header["Idempotent-Replayed"] != "true" || times != 1 {
				t.Errorf("Claimed again = %v, %v after %d changes, want the stored answer", again, err, times)
			}
			for _, req := range []*httpapi.Request{keyed("id 3", "k2", "{}"), keyed("id 4", "k3", "{}")} {
				if resp, err := claimed(t, c, req, "caller", made(c, &times, nil)); err != nil || resp.Header["Idempotent-Replayed"] != "" {
					t.Errorf("Claimed under another key = %v, %v", resp, err)
				}
			}
			if _, err := claimed(t, c, keyed("id 5", "k", "{}"), "caller 2", made(c, &times, nil)); err != nil || times != 4 {
				t.Errorf("another caller: %v after %d changes", err, times)
			}
		})
	}
	t.Run("a failure frees the key", func(t *testing.T) {
		c, refused := &claims{}, fault.New(fault.CarrierRefused, "m")
		for range 2 {
			if _, err := claimed(t, c, keyed("id", "k", "{}"), "caller", func(*httpapi.Change) (*httpapi.Response, error) { return nil, refused }); !errors.Is(err, refused) {
				t.Errorf("Claimed = %v, want the error of the change", err)
			}
		}
		if len(c.records) != 0 {
			t.Errorf("records remain: %v", c.records)
		}
	})
	t.Run("also when the time of the request is over", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := &alive{}
		_, err := httpapi.Claimed(ctx, sealer(), c, keyed("id", "k", "{}"), caller("caller"), now(), now(), func(*httpapi.Change) (*httpapi.Response, error) {
			cancel()
			return nil, ctx.Err()
		})
		if !errors.Is(err, context.Canceled) || len(c.records) != 0 {
			t.Errorf("Claimed = %v, %d records remain", err, len(c.records))
		}
	})
}

// alive is a store that fails once the request's context is done.
type alive struct{ claims }

func (c *alive) ReleaseIdempotency(ctx context.Context, rec effects.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.claims.ReleaseIdempotency(ctx, rec)
}

func TestIdempotencyNeedsTheSecret(t *testing.T) {
	down := errors.New("down")
	broken := seal.New(func(context.Context) (secret.Text, error) { return secret.Text{}, down }, time.Now)
	if _, err := httpapi.NewChange(t.Context(), broken, keyed("id", "k", "{}"), caller("caller"), now()); !errors.Is(err, down) {
		t.Errorf("NewChange = %v, want the reader's error", err)
	}
	bad := post("x")
	bad.IsBase64Encoded, bad.Headers = true, map[string]string{"Idempotency-Key": "k"}
	if _, err := httpapi.NewChange(t.Context(), sealer(), httpapi.NewRequest("id", bad), caller("caller"), now()); !fault.Is(err, fault.Invalid) {
		t.Errorf("NewChange with malformed Base64 = %v", err)
	}
}

// TestIdempotencyOfEncodedBodies: a gateway that passes bodies in Base64, as ours does, and one that does not make the same payload.
func TestIdempotencyOfEncodedBodies(t *testing.T) {
	digest := func(body string, encoded bool) []byte {
		t.Helper()
		e := post(body)
		e.Headers, e.IsBase64Encoded = map[string]string{"Idempotency-Key": "k"}, encoded
		change := begin(t, httpapi.NewRequest("id", e), "caller")
		fx, err := change.Effects(t.Context(), httpapi.JSON(http.StatusOK, "fine"))
		if err != nil {
			t.Fatal(err)
		}
		return fx.Answer.PayloadMAC
	}
	for _, body := range []string{"", `{"name":"Zoë"}`} {
		plain, encoded := digest(body, false), digest(base64.StdEncoding.EncodeToString([]byte(body)), true)
		if !bytes.Equal(plain, encoded) {
			t.Errorf("the payload %q has two digests", body)
		}
	}
	if bytes.Equal(digest("e30=", false), digest("e30=", true)) {
		t.Error("a body and its Base64 have one digest")
	}
}
