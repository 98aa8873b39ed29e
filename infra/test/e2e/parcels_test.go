package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	gen "carrierlink/infra/test/client"
	"carrierlink/shared/effects"
)

// The tests of parcels make their looks due at once, and forget what the carrier has said, instead of waiting for hours.

// registrant is a merchant with a connection to Australia Post.
type registrant struct{ tracker }

func (r registrant) pk() string { return fmt.Sprint("PARCELS#", r.ID) }

// post makes a request of a route of parcels.
func (r registrant) post(t *testing.T, path, number string) {
	t.Helper()
	api.call(t, request{method: http.MethodPost, path: path + "?tracking_number=" + number + "&" + byID(r.id), key: r.Key}).expect(t, http.StatusNoContent)
}

func (r registrant) shipments(t *testing.T, query string) []gen.Shipment {
	t.Helper()
	var all []gen.Shipment
	for _, page := range walk(t, r.Key, "/v1/shipments?"+query, func(p gen.ShipmentsPage) gen.PageLinks { return p.Links }) {
		all = append(all, page.Shipments...)
	}
	return all
}

// look lets the schedule look at numbers, and waits until it has.
func (r registrant) look(t *testing.T, numbers ...string) {
	t.Helper()
	before := time.Now()
	past := before.Add(-time.Second).UnixMilli()
	for _, n := range numbers {
		setItem(t, r.pk(), "PARCEL#australia_post#"+n, item{"next_look_at": num(past), "due_key": txt(fmt.Sprintf("%015d#%s", past, n))})
		if _, err := table().DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &service.TableName, Key: itemKey(fmt.Sprint("TRACKING#", r.ID, "#", r.id), n)}); err != nil {
			t.Fatal(err)
		}
	}
	_, rest, _ := strings.Cut(str(getItem(t, r.pk(), "ROUND#"+r.id), "due_key"), "#")
	setItem(t, r.pk(), "ROUND#"+r.id, item{"due_at": num(past), "due_key": txt(fmt.Sprintf("%015d#%s", past, rest))})
	pass(t)
	eventually(t, checkWithin, "nobody has looked at the parcels", func() bool {
		return !slices.ContainsFunc(r.shipments(t, ""), func(s gen.Shipment) bool {
			return slices.Contains(numbers, s.TrackingNumber) && (s.LastLookedAt == nil || *s.LastLookedAt < effects.Time(before))
		})
	})
}

// tracks are the track events of an account, the oldest first: number and status.
func (r registrant) tracks(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, e := range eventsOf(t, r.Key, "event_type=track") {
		data, err := e.Data.AsTracking()
		if err != nil || e.ResourceType == nil || string(*e.ResourceType) != "API_TRACK" {
			t.Fatalf("event %+v, %v", e, err)
		}
		if want := "/v1/tracking?carrier_code=australia_post&tracking_number=" + data.TrackingNumber; !strings.HasSuffix(e.ResourceUrl, want) {
			t.Errorf("resource_url = %s, want …%s", e.ResourceUrl, want)
		}
		all = append(all, data.TrackingNumber+" "+string(data.StatusCode))
	}
	return all
}

// parcelBody is the carrier's answer about one number.
func parcelBody(number, status string) string {
	return fmt.Sprintf(`{"tracking_results":[{"tracking_id":%q,"status":%q,"trackable_items":[{"article_id":%q,"status":%q,"events":[{"date":"2026-09-18T14:43:09+10:00","description":%q,"location":"ALEXANDRIA NSW"}]}]}]}`,
		number, status, number, status, status)
}

// TestParcelReportsItself: a registered parcel is NY until the carrier knows it; then each change is an event, until it is
// delivered.
func TestParcelReportsItself(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	r := registrant{newTracker(t, m, "australia_post", ausPostNumber("00"))}
	const number = "ZZ91000634015501"
	r.post(t, "/v1/tracking/start", "zz9100063401%205501")
	r.post(t, "/v1/tracking/start", number)
	shows := func(want ...string) {
		t.Helper()
		var got []string
		for _, s := range r.shipments(t, "") {
			got = append(got, fmt.Sprint(s.TrackingNumber, " ", s.StatusCode, " ", s.Status))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("shipments (-want +got):\n%s", diff)
		}
	}
	shows(number + " NY active")
	post.play(tracked(r.key), answering(http.StatusOK, "application/json", `{"tracking_results":[{"tracking_id":"`+number+`","errors":[{"code":"ESB-10001","name":"Invalid tracking ID"}]}]}`))
	r.look(t, number)
	shows(number + " NY active")
	for _, status := range []string{"In transit", "In transit", "Delivered"} {
		post.play(tracked(r.key), answering(http.StatusOK, "application/json", parcelBody(number, status)))
		r.look(t, number)
	}
	shows(number + " DE ended")
	if diff := cmp.Diff([]string{number + " IT", number + " DE"}, r.tracks(t)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if log := auditLog(t, r.Key, "event_type=track&actor=schedule"); len(log) != 2 {
		t.Errorf("the audit log has %d entries of the schedule, want 2", len(log))
	}
}

// TestParcelsOfTheSandbox: the simulator's parcel that moves, among many that are registered at once.
func TestParcelsOfTheSandbox(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, sandbox)
	r := registrant{tracker{m, link(t, m, "australia_post", ausPostNumber("00")).CarrierID, ""}}
	moving := fmt.Sprintf("ZZ80%d07", time.Now().Unix()+3600)
	a := api.call(t, request{method: http.MethodPost, path: "/v1/shipments", key: m.Key, body: fields{"carrier_code": "australia_post", "tracking_numbers": []string{moving, "ZZ91000634015511", "A-B", moving}}})
	a.expect(t, http.StatusOK)
	if got := decode[gen.ShipmentRegistrations](t, a); got.Registered != 3 || got.Failed != 1 || got.Results[2].Error == nil {
		t.Fatalf("%s", a.body)
	}
	r.look(t, moving, "ZZ91000634015511")
	count := getItem(t, accountPK(m.ID), "LIST#PARCELS")
	setItem(t, accountPK(m.ID), "LIST#PARCELS", item{"parcels": num(int64(50_000))})
	full := request{method: http.MethodPost, path: "/v1/tracking/start?tracking_number=ZZ91000634015512&" + byID(r.id), key: m.Key}
	api.call(t, full).expect(t, http.StatusConflict, problem{"business_rules", "invalid_status", "", ""})
	setItem(t, accountPK(m.ID), "LIST#PARCELS", item{"parcels": count["parcels"]})
	if diff := cmp.Diff([]string{"ZZ91000634015511 DE"}, r.tracks(t)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := r.shipments(t, "status=active"); len(got) != 1 || got[0].TrackingNumber != moving || got[0].StatusCode != "NY" {
		t.Errorf("active shipments: %+v", got)
	}
	r.post(t, "/v1/tracking/stop", moving)
	if got := r.shipments(t, "status=active"); len(got) != 0 {
		t.Errorf("active shipments after a stop: %+v", got)
	}
}

// TestParcelsOfADeletedAccount end without a call of the carrier.
func TestParcelsOfADeletedAccount(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	r := registrant{newTracker(t, m, "australia_post", ausPostNumber("00"))}
	const number = "ZZ91000634015521"
	r.post(t, "/v1/tracking/start", number)
	as(t, production.APIKey).remove(m.ID, nil)
	_, rest, _ := strings.Cut(str(getItem(t, r.pk(), "ROUND#"+r.id), "due_key"), "#")
	past := time.Now().Add(-time.Second).UnixMilli()
	setItem(t, r.pk(), "ROUND#"+r.id, item{"due_at": num(past), "due_key": txt(fmt.Sprintf("%015d#%s", past, rest))})
	pass(t)
	eventually(t, checkWithin, "the parcel is still there", func() bool { return len(getItem(t, r.pk(), "PARCEL#australia_post#"+number)) == 0 })
	if n := r.calls(); n != 0 {
		t.Errorf("the carrier was asked %d times", n)
	}
}
