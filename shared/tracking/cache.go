package tracking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/connection"
)

// An answer is fresh for freshFor: within that time the carrier is not asked again.
// Tracking stays in the cache for cachedFor, for when the carrier cannot be asked.
const (
	freshFor  = 2 * time.Minute
	cachedFor = time.Hour
)

// maxBody is the largest Cached.Body, in bytes. A DynamoDB item holds 400 KB, and one
// that is too large would prevent the others of a batch from being written.
const maxBody = 350_000

// cacheBody is the body of a cache entry, as JSON. It holds the carrier's words: their
// meaning may change between versions. Entries of older versions have no Parts.
type cacheBody struct {
	Tracking

	Fault NumberFault `json:"fault,omitempty"` // if set, Tracking says nothing
}

// saveToCache writes what the carrier said of numbers. One that is too large does not
// prevent the others from being written.
func (s *Service) saveToCache(ctx context.Context, conn *connection.Connection, answers map[string]CarrierAnswer, now time.Time) error {
	var entries []Cached
	var errs []error
	for number, r := range answers {
		c, err := pack(number, r, now)
		if err == nil && len(c.Body) > maxBody {
			err = fmt.Errorf("%d bytes are too many", len(c.Body))
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		entries = append(entries, c)
	}
	if len(entries) > 0 {
		errs = append(errs, s.Cache.CacheTracking(ctx, conn.AccountID, conn.ID, entries))
	}
	return errors.Join(errs...)
}

// pack makes a cache entry. Tracking expires after cachedFor, a fault after freshFor and
// a second more, as the table counts in seconds.
func pack(number string, r CarrierAnswer, now time.Time) (Cached, error) {
	until := now.Add(freshFor + time.Second)
	if r.Err == nil {
		until = now.Add(cachedFor)
	}
	body, err := json.Marshal(cacheBody{r.Tracking, r.Fault})
	return Cached{Number: number, At: now, Body: body, ExpiresAt: until}, err
}

// unpack reads a cache entry. An entry that cannot be read counts as absent: the Answer
// is empty.
func unpack(c Cached) Answer {
	var b cacheBody
	if json.Unmarshal(c.Body, &b) != nil {
		return Answer{}
	}
	if err := b.Fault.Err(); err != nil {
		return Answer{Err: err, At: c.At, Fault: b.Fault}
	}
	b.Number = c.Number
	return Answer{Tracking: &b.Tracking, At: c.At}
}
