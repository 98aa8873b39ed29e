package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/secret"
)

// canary is the secret that must never be printed, in any encoding.
const canary = "hunter2-canary-7f3a"

// hides fails the test if text contains the canary in any form that fmt or an encoder
// may write.
func hides(t *testing.T, how, text string) {
	t.Helper()
	low := strings.ToLower(text)
	for _, form := range []string{
		canary, fmt.Sprintf("%x", canary), fmt.Sprintf("% x", canary), fmt.Sprintf("%d", []byte(canary)), fmt.Sprintf("%v", []byte(canary))[1:20],
	} {
		if strings.Contains(low, form) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
	}
}

// open and closed hold a secret in exported and in unexported fields: fmt calls no
// methods on the latter.
type (
	open struct {
		Secret      secret.Text
		Pointer     *secret.Text
		Credentials connection.Credentials
		List        []secret.Text
		ByName      map[string]secret.Text
	}
	closed struct {
		secret      secret.Text
		credentials connection.Credentials
		list        []secret.Text
		byName      map[string]secret.Text
		any         any
	}
	closedInMap struct{ m map[secret.Text]closed }
)

func holders() map[string]any {
	s := secret.New(canary)
	c := connection.Credentials{APIKey: s, APISecret: secret.New(canary)}
	list, byName := []secret.Text{s}, map[string]secret.Text{"a": s}
	inside := closed{s, c, list, byName, s}
	return map[string]any{
		"secret":         s,
		"pointer":        &s,
		"credentials":    c,
		"charge account": connection.ChargeAccount{Carrier: carrier.AustraliaPost, Number: "0009912345", Credentials: c},
		"list":           list,
		"map":            byName,
		"map key":        map[secret.Text]int{s: 1},
		"open":           open{s, &s, c, list, byName},
		"closed":         inside,
		"closed pointer": &inside,
		"closed in map":  closedInMap{map[secret.Text]closed{s: inside}},
		"interface":      []any{s, &s},
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	for name, v := range holders() {
		t.Run(name, func(t *testing.T) {
			for _, verb := range "vsqxXdbcoOUeEfFgGtpTw" {
				for _, flags := range []string{"", "+", "#", " ", "-", "0", "+#", "30", ".3", "[1]"} {
					hides(t, "%"+flags+string(verb), fmt.Sprintf("%"+flags+string(verb), v))
				}
			}
			hides(t, "Sprint", fmt.Sprint(v))
			hides(t, "Sprintln", fmt.Sprintln(v))
			hides(t, "Errorf", fmt.Errorf("calling with %v", v).Error())
			hides(t, "panic", recovered(func() { panic(v) }))
			if b, err := json.Marshal(v); err == nil {
				hides(t, "JSON", string(b))
			} else {
				hides(t, "JSON's error", err.Error())
			}
			if b, err := xml.Marshal(v); err == nil {
				hides(t, "XML", string(b))
			} else {
				hides(t, "XML's error", err.Error())
			}
			for form, handler := range map[string]func(*bytes.Buffer) slog.Handler{
				"slog JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
				"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			} {
				var b bytes.Buffer
				log := slog.New(handler(&b))
				log.Info("call", slog.Any("with", v), slog.Group("in", slog.Any("a", []any{v})))
				log.With(slog.Any("with", v)).WithGroup("g").Info("call", slog.String("text", fmt.Sprint(v)))
				hides(t, form, b.String())
			}
		})
	}
}

// recovered returns what a panic handler that prints the recovered value would write.
func recovered(f func()) (text string) {
	defer func() { text = fmt.Sprintf("%v %+v %#v %s", recover(), errors.New("x"), "y", "z") }()
	f()
	return ""
}

func TestSecretPrintsRedacted(t *testing.T) {
	s := secret.New(canary)
	jsonText, err := json.Marshal(map[secret.Text]secret.Text{s: s})
	if err != nil {
		t.Fatal(err)
	}
	for how, got := range map[string]string{
		"%v": fmt.Sprintf("%v", s), "%#v": fmt.Sprintf("%#v", s), "%x": fmt.Sprintf("%x", s), "%d": fmt.Sprintf("%d", s), "String": s.String(),
		"GoString": s.GoString(), "LogValue": s.LogValue().String(),
	} {
		if got != "REDACTED" {
			t.Errorf("%s = %q, want REDACTED", how, got)
		}
	}
	if got, want := string(jsonText), `{"REDACTED":"REDACTED"}`; got != want {
		t.Errorf("JSON = %s, want %s", got, want)
	}
}

func TestSecretLastFour(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"too short", "12345678901", ""},
		{"12 characters", "123456789012", "9012"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := secret.New(tc.text).LastFour(); got != tc.want {
				t.Errorf("LastFour(%q) = %q, want %q", tc.text, got, tc.want)
			}
		})
	}
}

func TestSecretEqual(t *testing.T) {
	var zero secret.Text
	a, b := secret.New("a"), secret.New("b")
	for _, tc := range []struct {
		name string
		a, b secret.Text
		want bool
	}{
		{"different texts", a, b, false},
		{"different lengths", a, secret.New("aa"), false},
		{"zero value and a text", zero, a, false},
		{"zero value and empty text", zero, secret.New(""), true},
		{"same text, different pointers", a, secret.New("a"), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.a.Equal(tc.b); got != tc.want {
				t.Errorf("Equal = %t, want %t", got, tc.want)
			}
			// cmp.Diff uses Equal and prints REDACTED.
			if got := cmp.Equal(tc.a, tc.b); got != tc.want {
				t.Errorf("cmp.Equal = %t, want %t", got, tc.want)
			}
		})
	}
	if !zero.IsZero() || !secret.New("").IsZero() || a.IsZero() || zero.Reveal() != "" || a.Reveal() != "a" {
		t.Error("IsZero() or Reveal() is wrong")
	}
	one, two := connection.Credentials{APIKey: a, APISecret: b}, connection.Credentials{APIKey: a, APISecret: a}
	if one.Equal(two) || !one.Equal(connection.Credentials{APIKey: secret.New("a"), APISecret: secret.New("b")}) {
		t.Error("Credentials.Equal() is wrong")
	}
}

func TestDigest(t *testing.T) {
	for _, tc := range []struct{ name, text, prefix, want string }{
		{"empty", "", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"a text", "abc", "", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"with a prefix", "c", "ab", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := fmt.Sprintf("%x", secret.New(tc.text).Digest(tc.prefix)); got != tc.want {
				t.Errorf("Digest(%q) of %q = %s, want %s", tc.prefix, tc.text, got, tc.want)
			}
		})
	}
}
