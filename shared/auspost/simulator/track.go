package simulator

import (
	"net/http"
	"strings"
)

// Limits of one track call (infra/docs/auspost.md, "GET /shipping/v1/track").
const (
	maxTrackingIDs = 10
	minIDLength    = 10
	maxIDLength    = 50
)

// track answers for tracking ids separated by commas: Australia Post's or
// StarTrack's, never both. An id that is too short or too long is not found.
func track(list string) answer {
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
		results[i] = trackOne(id)
	}
	return jsonAnswer(http.StatusOK, "{\n  \"tracking_results\": ["+strings.Join(results, ",")+"]\n}\n")
}

func trackOne(id string) string {
	body, sample := trackOK, "ZZ91000634011427"
	switch {
	case len(id) < minIDLength || len(id) > maxIDLength:
		body, sample = trackError, "ZZ91000"
	case isStarTrackID(id):
		body, sample = trackStarTrack, "9ZZZ50000001"
	case isInternationalID(id):
		body, sample = trackNested, "ET000000005AU"
	}
	one := body[strings.Index(body, "[")+1 : strings.LastIndex(body, "]")]
	return strings.ReplaceAll(strings.TrimRight(one, " \n"), sample, inJSON(id))
}

// isStarTrackID: four letters or digits with a letter among them, then eight
// digits, such as 9ZZZ50000001.
func isStarTrackID(id string) bool {
	return len(id) == 12 && strings.ContainsFunc(id[:4], isLetter) && only(id[:4], isLetter, isDigit) && only(id[4:], isDigit)
}

// isInternationalID: the form of the Universal Postal Union, such as
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

// address checks a suburb against the three of the example. One that is not
// there is 400 with the code "400" (infra/docs/auspost.md, "Codes").
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
