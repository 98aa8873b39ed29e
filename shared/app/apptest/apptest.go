// Package apptest checks that a function's main puts its settings where they belong.
package apptest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrierlink/shared/app"
)

// places are where settings that several functions have end up in what their mains
// build: the last fields of the path to the value.
var places = map[string]string{
	"TABLE_NAME":                    "table.Name",
	"SECRET_PREFIX":                 "prefix",
	"SERVICE_SECRET_ID":             "id",
	"RATE_LIMIT_PER_MINUTE":         "Limits.Production",
	"SANDBOX_RATE_LIMIT_PER_MINUTE": "Limits.Sandbox",
	"AUSPOST_BASE_URL":              "Production.options.BaseURL",
	"REFUSAL_GAP_SECONDS":           "Timing.RefusalGap",
	"LONE_REFUSAL_SECONDS":          "Timing.LoneRefusal",
	"SCHEDULE_SPEED":                "Timing.Speed",
	"ERROR_SOURCE":                  "ErrorSource",
	"MAX_CONNECTIONS_PER_ACCOUNT":   "Caps.Connections",
	"MAX_DUPLICATES_PER_NUMBER":     "Caps.Duplicates",
	"MAX_LINKS_PER_DAY":             "Caps.LinksPerDay",
	"MAX_KEYS_PER_ACCOUNT":          "MaxKeys",
	"MAX_PARCELS_PER_ACCOUNT":       "parcels.Limit",
	"CARRIER_CALLS_PER_MINUTE":      "CallsPerMinute",
	"LINKS_PER_MINUTE":              "LinksPerMinute",
	"STAGE":                         "Stage",
	"SESSION_IDLE_MINUTES":          "Idle",
	"SESSION_HOURS":                 "Longest",
}

// optional are the settings that need not be set.
var optional = []string{"ERROR_SOURCE", "PUBLIC_URL", "WEBHOOK_ALLOW_LOOPBACK", "MAIL_QUEUE_URL"}

// values are the values of settings that cannot have an arbitrary number.
var values = map[string]string{
	"AUSPOST_BASE_URL":           "https://carrier.invalid/shipping/v1",
	"PUBLIC_URL":                 "https://public.invalid/base",
	"SCHEDULE_PASSES_PER_MINUTE": "5",
	"SECRET_REVEAL":              "on",
	"STAGE":                      "local", // where WEBHOOK_ALLOW_LOOPBACK may be true
	"WEBHOOK_ALLOW_LOOPBACK":     "true",
}

// aws are the settings that app.Env.AWS reads; its own tests check where they go.
var aws = []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}

// Wire checks what a function's main builds. build takes the *app.Env and returns what
// it built. settings are all settings of the function, each by name, or as "NAME: place"
// where the place is not in places: the last fields of the path from what was built to
// the value, as in "Limits.Production".
//
// Wire gives each setting a value of its own. The value must be in the setting's place
// and in no other setting's. A setting that is read and not listed is an error, and so is
// one that is listed and not read. Without settings, the error of the environment must
// name each that is required. build must make no remote call. Wire returns the settings
// and their values.
func Wire(t *testing.T, build any, settings ...string) map[string]string {
	t.Helper()
	at := map[string]string{}
	for _, s := range settings {
		name, place, own := strings.Cut(s, ": ")
		if !own {
			place = places[name]
		}
		if at[name] = place; place == "" {
			t.Fatalf("%s has no place: add it to places, or give it with the setting", name)
		}
	}
	full := map[string]string{}
	for i, name := range append(slices.Sorted(maps.Keys(at)), aws...) {
		if full[name] = values[name]; full[name] == "" {
			full[name] = strconv.Itoa(7001 + 2*i) // a number is a text too
		}
	}
	checkMissing(t, build, full)

	read := map[string]bool{}
	env := app.NewEnv(func(name string) string { read[name] = true; return full[name] })
	built := call(build, env)
	if err := env.Err(); err != nil {
		t.Fatalf("with every setting: %v", err)
	}
	for name := range read {
		if _, ok := full[name]; !ok && !strings.HasPrefix(name, "AWS_") {
			t.Errorf("%s is read and is not among the settings", name)
		}
	}
	found := search{}
	for _, part := range built {
		found.walk(part, nil, nil)
	}
	for name, place := range at {
		if !read[name] {
			t.Errorf("%s is not read", name)
		}
		for other := range at {
			if full[other] != full[name] && found.has(full[other], place) {
				t.Errorf("%s is in the place of %s, %s", other, name, place)
			}
		}
		if !found.has(full[name], place) {
			t.Errorf("%s is not in its place, %s, but in %q", name, place, found.of(full[name]))
		}
	}
	return full
}

// checkMissing checks that the error of an empty environment names each required setting.
func checkMissing(t *testing.T, build any, full map[string]string) {
	t.Helper()
	read := map[string]bool{}
	empty := app.NewEnv(func(name string) string { read[name] = true; return "" })
	call(build, empty)
	for name := range full {
		if !read[name] && slices.Contains(aws, name) {
			continue // the function makes no calls
		}
		if err := empty.Err(); !slices.Contains(optional, name) && (err == nil || !strings.Contains(err.Error(), name+" is not set")) {
			t.Errorf("the error does not name the missing setting %s: %v", name, err)
		}
	}
}

func call(build any, env *app.Env) []reflect.Value {
	return reflect.ValueOf(build).Call([]reflect.Value{reflect.ValueOf(env)})
}

// search is where each value was found: paths of field names, by the value as a setting
// has it.
type search map[string][]string

// walk notes the texts, numbers and flags in our own types, in unexported fields too. A duration
// is noted in each unit of which it is a whole number.
func (s search) walk(v reflect.Value, way []string, above []uintptr) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			s.walk(v.Elem(), way, above)
		}
	case reflect.Pointer:
		if !v.IsNil() && !slices.Contains(above, v.Pointer()) {
			s.walk(v.Elem(), way, append(slices.Clone(above), v.Pointer()))
		}
	case reflect.Struct:
		if !strings.HasPrefix(v.Type().PkgPath(), "carrierlink/") {
			return
		}
		for i := range v.NumField() {
			s.walk(v.Field(i), append(slices.Clone(way), v.Type().Field(i).Name), above)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			s.walk(v.Index(i), way, above)
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			s.walk(entries.Value(), append(slices.Clone(way), fmt.Sprint(entries.Key())), above)
		}
	case reflect.String:
		s.note(v.String(), way)
	case reflect.Bool:
		s.note(strconv.FormatBool(v.Bool()), way)
		s.note(map[bool]string{true: "on", false: "off"}[v.Bool()], way)
	case reflect.Int, reflect.Int32, reflect.Int64:
		s.note(strconv.FormatInt(v.Int(), 10), way)
		if v.Type() == reflect.TypeFor[time.Duration]() {
			for _, unit := range []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour} {
				if d := time.Duration(v.Int()); d != 0 && d%unit == 0 {
					s.note(strconv.FormatInt(int64(d/unit), 10), way)
				}
			}
		}
	default: // no setting has another kind
	}
}

func (s search) note(value string, way []string) {
	s[value] = append(s[value], strings.Join(way, "."))
}

// of lists where a value was found.
func (s search) of(value string) []string {
	return slices.Compact(slices.Sorted(slices.Values(s[value])))
}

// has tells whether a value was found in a place.
func (s search) has(value, place string) bool {
	return slices.ContainsFunc(s[value], func(way string) bool { return strings.HasSuffix("."+way, "."+place) })
}
