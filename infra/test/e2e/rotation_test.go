package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// newKeyWithin is how long it takes at most until the warm processes seal with a new key, once it is used: a process reads
// the service secret again when it meets an unknown key, once in a minute.
const newKeyWithin = 6 * time.Minute

// TestRotateServiceSecret rotates the service secret twice, as the operator does, under processes that know only the key
// before. Cursors and answers of all three keys live on.
func TestRotateServiceSecret(t *testing.T) {
	t.Parallel()
	p := newPartner(t, "Rotator")
	m := newMerchant(t, p)
	for range 2 {
		newMerchant(t, p)
	}
	next := func() string {
		t.Helper()
		a := list(t, p.APIKey, "?page_size=1")
		a.expect(t, http.StatusOK)
		body := decode[struct {
			Links struct{ Next struct{ Href string } }
		}](t, a)
		link, err := url.Parse(body.Links.Next.Href)
		if err != nil || link.Query().Get("cursor") == "" {
			t.Fatalf("no next page: %s", a.body)
		}
		return link.Query().Get("cursor")
	}
	patch := func(key string) answer {
		t.Helper()
		return api.call(t, request{
			method: http.MethodPatch, path: accountPath(m.ID), key: p.APIKey, header: [][2]string{{"Idempotency-Key", key}}, body: fields{"external_account_id": "rotated " + key},
		})
	}
	cursors, answers := map[string]string{}, map[string][2]answer{}
	leave := func(name string) {
		t.Helper()
		created, patched := create(t, p.APIKey, "{}", [2]string{"Idempotency-Key", name}), patch(name)
		created.expect(t, http.StatusOK)
		patched.expect(t, http.StatusOK)
		cursors[name], answers[name] = next(), [2]answer{created, patched}
	}
	liveOn := func(when string) {
		t.Helper()
		for name, cursor := range cursors {
			list(t, p.APIKey, "?page_size=1&cursor="+cursor).expect(t, http.StatusOK)
			for i, again := range []answer{create(t, p.APIKey, "{}", [2]string{"Idempotency-Key", name}), patch(name)} {
				if !bytes.Equal(again.body, answers[name][i].body) || again.header.Get("Idempotent-Replayed") != "true" {
					t.Errorf("%s: the repeated request %d of %q is answered %d %s, want the first answer", when, i, name, again.status, show(again.body))
				}
			}
			create(t, p.APIKey, fields{"external_account_id": "another"}, [2]string{"Idempotency-Key", name}).expect(t, http.StatusUnprocessableEntity,
				problem{"validation", "field_conflict", "Idempotency-Key", ""})
		}
	}
	leave("before")
	rotate := func() string {
		t.Helper()
		body, err := service.Invoke(t.Context(), "rotate-service-secret", nil)
		if err != nil {
			t.Fatal(err)
		}
		made := decode[struct {
			KeyID string `json:"key_id"`
			Keys  int    `json:"keys"`
		}](t, answer{body: body})
		if len(made.KeyID) != 4 || made.Keys < 2 || bytes.Contains(body, []byte("text")) {
			t.Fatalf("the rotation answers %s", body)
		}
		return made.KeyID
	}
	first := rotate()
	leave("between")
	liveOn("rotated once")
	last := rotate()
	if first == last {
		t.Errorf("both keys are %s", first)
	}
	liveOn("rotated twice")
	// A forged cursor has an unknown key: the process that gets it reads the secret.
	forged := func() string {
		return base64.RawURLEncoding.EncodeToString([]byte(rand.Text()[:16] + `{"t":1,"i":"1","p":2,"s":1}`))
	}
	eventually(t, newKeyWithin, "no process has signed with the new key", func() bool {
		list(t, p.APIKey, "?page_size=1&cursor="+forged()).expect(t, http.StatusBadRequest, invalid("cursor"))
		raw, err := base64.RawURLEncoding.DecodeString(next())
		return err == nil && string(raw[:4]) == last
	})
	leave("after")
	liveOn("with the new key")
}
