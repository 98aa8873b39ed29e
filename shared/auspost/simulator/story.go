package simulator

import (
	"net/http"
	"strings"
	"time"
)

// storyOf returns the answer for a well-formed charge account number to an attempt of a
// check, both from 1. It depends on nothing else.
func storyOf(number string, check, attempt int, now time.Time) answer {
	fine := func(edits ...edit) answer { return jsonAnswer(http.StatusOK, account(number, now, edits...)) }
	switch number[len(number)-2:] {
	case "01":
		return accountError(error41001, number)
	case "02":
		return accountError(error41002, number)
	case "03":
		return accountError(error41003, number)
	case "07":
		return accountError(error41007, number)
	case "10":
		return fine(accountEnds(lastJune), accountExpired, productsExpired)
	case "11":
		return fine(accountEnds(inSevenDays))
	case "12":
		return fine(creditBlocked)
	case "13":
		if check > 1 {
			return fine(productGone)
		}
	case "14":
		return fine(productsExpired)
	case "40":
		return jsonAnswer(http.StatusUnauthorized, errorUnauthorized)
	case "41":
		if check == 1 && attempt == 1 {
			return jsonAnswer(http.StatusUnauthorized, errorUnauthorized)
		}
	case "43":
		return legacy(http.StatusForbidden)
	case "49":
		if check == 1 {
			return jsonAnswer(http.StatusTooManyRequests, errorRateLimited)
		}
	case "50":
		return legacy(http.StatusInternalServerError)
	case "51":
		return answer{status: http.StatusServiceUnavailable, contentType: "text/html", body: errorGateway503}
	case "54":
		return answer{never: true}
	case "55":
		body := account(number, now)
		return jsonAnswer(http.StatusOK, body[:len(body)/2])
	case "56":
		a := accountError(error41001, number)
		a.status = http.StatusOK
		return a
	case "60":
		if check > 1 {
			return jsonAnswer(http.StatusUnauthorized, errorUnauthorized)
		}
	case "61":
		if check >= 2 && check <= 4 {
			return legacy(http.StatusInternalServerError)
		}
	case "70":
		return jsonAnswer(http.StatusOK, account(number[:len(number)-2]+"00", now))
	}
	return fine()
}

// edit changes the text of an account, so that the rest stays as the carrier writes
// it. Indentation distinguishes the account's own members from its products'.
type edit func(body string, now time.Time) string

// account returns the brand's example with another number. Its dates change once a
// year, so that no contract expires over time or differs from day to day: products end
// in June of next year, or ended in June of last year.
func account(number string, now time.Time, edits ...edit) string {
	body, sample := accountAusPost, "0009912345"
	if len(number) == 8 {
		body, sample = accountStarTrack, "09912345"
	}
	body = strings.Replace(body, sample, number, 1)
	body = strings.NewReplacer("2027-06-30", nextJune(now), "2025-06-30", lastJune(now)).Replace(body)
	for _, e := range edits {
		body = e(body, now)
	}
	return body
}

// aest is the carrier's time zone.
var aest = time.FixedZone("AEST", 10*60*60)

func june(year int) string {
	return time.Date(year, time.June, 30, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

func nextJune(now time.Time) string { return june(now.In(aest).Year() + 1) }
func lastJune(now time.Time) string { return june(now.In(aest).Year() - 1) }

func inSevenDays(now time.Time) string {
	return now.In(aest).AddDate(0, 0, 7).Format(time.DateOnly)
}

func accountEnds(when func(time.Time) string) edit {
	return func(body string, now time.Time) string {
		return strings.Replace(body, "\n  \"valid_to\": \"2999-12-31\"", "\n  \"valid_to\": \""+when(now)+"\"", 1)
	}
}

func accountExpired(body string, _ time.Time) string {
	return strings.Replace(body, "\n  \"expired\": false", "\n  \"expired\": true", 1)
}

func creditBlocked(body string, _ time.Time) string {
	return strings.Replace(body, `"credit_blocked": false`, `"credit_blocked": true`, 1)
}

func productsExpired(body string, now time.Time) string {
	ended := "\n        \"valid_to\": \"" + lastJune(now) + "\""
	return strings.NewReplacer(
		"\n        \"expired\": false", "\n        \"expired\": true",
		"\n        \"valid_to\": \""+nextJune(now)+"\"", ended,
		"\n        \"valid_to\": \"2999-12-31\"", ended,
	).Replace(body)
}

// productGone removes the first product: an international one of Australia Post's,
// StarTrack's Express.
func productGone(body string, _ time.Time) string {
	const list, end = "\"postage_products\": [", "\n    },"
	before, rest, _ := strings.Cut(body, list)
	_, after, _ := strings.Cut(rest, end)
	return before + list + after
}
