package simulator

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits of one Track call (infra/docs/auspost.md, "Track: GET /shipping/v1/track").
const (
	maxTrackingIDs = 10
	minIDLength    = 10
	maxIDLength    = 50
)

// track answers for tracking ids separated by commas, of one brand. An id that is too
// short or too long is not found.
func track(list string, now time.Time) answer {
	var ids []string
	starTrack := 0
	for id := range strings.SplitSeq(list, ",") {
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, id)
			if isStarTrackID(id) {
				starTrack++
			}
		}
	}
	switch {
	case len(ids) == 0:
		return jsonAnswer(http.StatusBadRequest, error51100)
	case starTrack > 0 && starTrack < len(ids):
		return jsonAnswer(http.StatusBadRequest, error51103)
	case starTrack > maxTrackingIDs:
		return jsonAnswer(http.StatusBadRequest, error51102)
	case len(ids) > maxTrackingIDs:
		return jsonAnswer(http.StatusBadRequest, error51101)
	}
	results := make([]string, len(ids))
	for i, id := range ids {
		results[i] = trackOne(id, now)
	}
	return jsonAnswer(http.StatusOK, "{\n  \"tracking_results\": ["+strings.Join(results, ",")+"]\n}\n")
}

// trackOne returns the result for one id: an example with the id in place of its own.
func trackOne(id string, now time.Time) string {
	body, own := exampleOf(id)
	if posted, ok := postedAt(id); ok {
		body, own = moving(now.Sub(posted))
	}
	result := body[strings.Index(body, "[")+1 : strings.LastIndex(body, "]")]
	return strings.ReplaceAll(strings.TrimRight(result, " \n"), own, inJSON(id))
}

// exampleOf returns the example for an id and the id in that example. The last two
// digits of a consignment choose its story: 70, both articles are delivered; 71, only
// one is; 72, the other cannot be.
func exampleOf(id string) (body, own string) {
	const starTrack, post = "9ZZZ50000001", "ABC5033490"
	story := id[max(0, len(id)-2):]
	switch {
	case len(id) < minIDLength || len(id) > maxIDLength:
		return trackError, "ZZ91000"
	case isStarTrackID(id) && len(id) > len(starTrack):
		return trackStarTrackItem, "9ZZZ50000001FPP00001"
	case isStarTrackID(id) && story == "70":
		return trackStarTrackDelivered, starTrack
	case isStarTrackID(id) && story == "71":
		return trackStarTrackPartial, starTrack
	case isStarTrackID(id) && story == "72":
		return strings.NewReplacer("Partial Delivery", "Final Shortage", "In Transit", "Final Shortage").Replace(trackStarTrackPartial), starTrack
	case isStarTrackID(id):
		return trackStarTrack, starTrack
	case isConsignmentID(id) && story == "70":
		return strings.NewReplacer("Track items for detailed delivery information", "Delivered", "In transit", "Delivered", "Item processed at facility", "Delivered").Replace(trackConsignment), post
	case isConsignmentID(id) && story == "71":
		return trackConsignment, post
	case isConsignmentID(id) && story == "72":
		return strings.Replace(trackConsignment, "In transit", "Cannot be delivered", 1), post
	case isInternationalID(id):
		return trackNested, "ET000000005AU"
	}
	return trackOK, "ZZ91000634011427"
}

// movingPrefix begins the ids of parcels that move: ten digits follow, the Unix time, in
// seconds, at which the parcel is posted, and two that tell parcels apart.
const movingPrefix = "ZZ80"

// movingStep is how long a parcel that moves is in transit, and then on board: together as long as
// answers are cached, so the first look at a new parcel and the next one see two states.
const movingStep = time.Minute

// postedAt returns when a parcel that moves is posted; ok is false for another id.
func postedAt(id string) (at time.Time, ok bool) {
	digits, ok := strings.CutPrefix(id, movingPrefix)
	if !ok || len(digits) != 12 || !only(digits, isDigit) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(digits[:10], 10, 64)
	return time.Unix(n, 0), err == nil
}

// moving returns the example of a parcel that was posted so long ago, and the id in it: not
// found before, then in transit, on board and delivered.
func moving(ago time.Duration) (body, own string) {
	const done = "Delivered - Left in a safe place"
	body, own = trackOK, "ZZ91000634011427"
	switch {
	case ago < 0:
		body, own = trackError, "ZZ91000"
	case ago < movingStep:
		body = strings.NewReplacer(`"Delivered"`, `"In transit"`, done, "Arrived at facility", "Onboard for delivery", "Departed facility").Replace(body)
	case ago < 2*movingStep:
		body = strings.NewReplacer(`"Delivered"`, `"In transit"`, done, "Onboard for delivery", "Onboard for delivery", "Departed facility").Replace(body)
	}
	return body, own
}

// merchantLocation is the prefix of Australia Post consignments that have the form of
// StarTrack's.
const merchantLocation = "36ZZ4"

// isStarTrackID matches four letters or digits with at least one letter, then eight
// digits, such as 9ZZZ50000001, and freight items of such a consignment, such as
// 9ZZZ50000001EXP00001.
func isStarTrackID(id string) bool {
	consignment := len(id) == 12
	if len(id) == 20 && only(id[12:15], isLetter) && only(id[15:], isDigit) {
		id, consignment = id[:12], true
	}
	return consignment && strings.ContainsFunc(id[:4], isLetter) && only(id[:4], isLetter, isDigit) && only(id[4:], isDigit) &&
		!strings.HasPrefix(id, merchantLocation)
}

// isConsignmentID matches a merchant location, of three letters or digits with at least
// one letter or merchantLocation, then seven digits.
func isConsignmentID(id string) bool {
	rest := strings.TrimPrefix(id, merchantLocation)
	return len(rest) == 7 && rest != id && only(rest, isDigit) ||
		len(id) == 10 && strings.ContainsFunc(id[:3], isLetter) && only(id[:3], isLetter, isDigit) && only(id[3:], isDigit)
}

// isInternationalID matches the form of the Universal Postal Union, such as
// ET000000005AU.
func isInternationalID(id string) bool {
	return len(id) == 13 && only(id[:2], isLetter) && only(id[2:11], isDigit) && only(id[11:], isLetter)
}

func only(s string, classes ...func(rune) bool) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		for _, in := range classes {
			if in(r) {
				return false
			}
		}
		return true
	})
}

func isLetter(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }
func isDigit(r rune) bool  { return r >= '0' && r <= '9' }

// address looks a suburb up among the three of the example. An unknown one is 400 with
// the code "400" (infra/docs/auspost.md, "Codes").
func address(suburb string) answer {
	if suburb == "" {
		return jsonAnswer(http.StatusBadRequest, addressError)
	}
	for _, known := range []string{"Briar Hill", "Greensborough", "St Helena"} {
		if strings.EqualFold(suburb, known) {
			return jsonAnswer(http.StatusOK, addressOK)
		}
	}
	return jsonAnswer(http.StatusBadRequest, strings.Replace(addressError, "null", inJSON(suburb), 1))
}
