package main

import (
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/views"
)

func at() time.Time { return time.Date(2026, 3, 1, 0, 0, 30, 123456789, time.UTC) }

func newHandler() *handler {
	return &handler{&account.Service{Store: storetest.NewMemory(), Now: at, Random: rand.Reader}}
}

func TestPayloadRefuses(t *testing.T) {
	for _, payload := range []string{
		`{"name":"A","environment":"sandbox","default_country":"NZ"}`, `{"name":1,"environment":"sandbox"}`, `[]`, `"A"`,
	} {
		var in request
		if err := json.Unmarshal([]byte(payload), &in); err == nil {
			t.Errorf("payload %s is accepted: %+v", payload, in)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	var in request
	if err := json.Unmarshal([]byte(`{"environment":"test"}`), &in); err != nil {
		t.Fatal(err)
	}
	got, err := newHandler().create(t.Context(), in)
	if want := "length name: name must not be empty.; invalid environment: environment must be production or sandbox."; got != nil || err == nil || err.Error() != want {
		t.Errorf("create = %+v, %v, want %s", got, err, want)
	}
}

func TestCreate(t *testing.T) {
	var in request
	if err := json.Unmarshal([]byte(`{"name":" Shop Ltd ","environment":"sandbox","default_country_code":"NZ"}`), &in); err != nil {
		t.Fatal(err)
	}
	h := newHandler()
	by := functiontest.RecordAccounts(h.accounts)
	got, err := h.create(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]effects.By{{Actor: effects.Operator}}, by.Take()); diff != "" {
		t.Errorf("who makes the change (-want +got):\n%s", diff)
	}
	text := got.APIKey.EncryptedAPIKey
	if key, ok := account.ParseKey(text); !ok || key.PartnerID != got.PartnerID {
		t.Errorf("key %q is of partner %d, want %d", text, key.PartnerID, got.PartnerID)
	}
	stamp, description := "2026-03-01T00:00:30.123Z", "First key of the partner"
	want := &answer{
		PartnerID: got.PartnerID, Name: "Shop Ltd", Environment: "sandbox", DefaultCountryCode: "NZ", CreatedAt: &stamp,
		APIKey: &views.FirstKey{EncryptedAPIKey: text, APIKeyID: got.APIKey.APIKeyID, Description: &description, CreatedAt: &stamp},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}
