package carrier_test

import (
	"testing"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

func TestParseName(t *testing.T) {
	for _, in := range []string{"", "AUSTRALIA_POST", "australia-post", "auspost", "star track", "startrack ", "ups", "australia_post/", "\x00"} {
		if got, err := carrier.ParseName("carrier_code", in); got != "" || !fault.Is(err, fault.NotSupported) || fault.Of(err)[0].Field != "carrier_code" {
			t.Errorf("ParseName(%q) = %q, %v, want fault.NotSupported about carrier_code", in, got, err)
		}
	}
	for in, want := range map[string]carrier.Name{
		"australia_post": carrier.AustraliaPost, "startrack": carrier.StarTrack, "star_track": carrier.StarTrack,
	} {
		if got, err := carrier.ParseName("carrier_code", in); got != want || err != nil {
			t.Errorf("ParseName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	if a, s := carrier.AustraliaPost.FriendlyName(), carrier.StarTrack.FriendlyName(); a != "Australia Post" || s != "StarTrack" {
		t.Errorf("friendly names are %q and %q", a, s)
	}
}

func TestPerEnvironment(t *testing.T) {
	of := carrier.PerEnvironment[string]{Production: "real", Sandbox: "simulator"}
	for env, want := range map[carrier.Environment]string{"": "", "PRODUCTION": "", "live": "", carrier.Production: "real", carrier.Sandbox: "simulator"} {
		if got, err := of.Of(env); got != want || (err == nil) != (want != "") {
			t.Errorf("Of(%q) = %q, %v, want %q", env, got, err, want)
		}
	}
}
