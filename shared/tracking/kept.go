package tracking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/connection"
)

// keep writes what the carrier said of numbers.
func (s *Service) keep(ctx context.Context, conn *connection.Connection, said map[string]Tracked, now time.Time) error {
	var entries []Cached
	var errs []error
	for n, r := range said {
		c, err := pack(n, r, now)
		if err == nil && len(c.Body) > maxKept {
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

// kept is an answer as the cache holds it, with the words of the carrier: what
// they mean is for the reader to say. Entries from before there were parts have
// none.
type kept struct {
	Status string      `json:"status"`
	Events []keptEvent `json:"events"`
	// Of a part.
	Number string `json:"number,omitempty"`
	Parts  []kept `json:"parts,omitempty"`
	// Of the whole.
	Consignment bool        `json:"consignment,omitempty"`
	Fault       NumberFault `json:"fault,omitempty"` // instead of all else
}

type keptEvent struct {
	At          time.Time `json:"at"`
	CarrierTime string    `json:"carrier_time"`
	Description string    `json:"description"`
	Location    string    `json:"location"`
}

// pack is what is kept of a number: tracking for keptFor, a fault as long as it is
// fresh, and a second more as the table counts in seconds.
func pack(number string, r Tracked, now time.Time) (Cached, error) {
	k, until := kept{Fault: r.Fault}, now.Add(freshFor+time.Second)
	if r.Err == nil {
		k, until = packPart(&r.Tracking), now.Add(keptFor)
		k.Number, k.Consignment = "", r.Tracking.Consignment
	}
	body, err := json.Marshal(k)
	return Cached{Number: number, At: now, Body: body, ExpiresAt: until}, err
}

func packPart(t *Tracking) kept {
	k := kept{Status: t.CarrierStatus, Number: t.Number}
	for _, e := range t.Events {
		k.Events = append(k.Events, keptEvent(e))
	}
	for i := range t.Parts {
		k.Parts = append(k.Parts, packPart(&t.Parts[i]))
	}
	return k
}

// unpack reads what the cache held. What cannot be read was not there.
func unpack(c Cached) Answer {
	var k kept
	if json.Unmarshal(c.Body, &k) != nil {
		return Answer{}
	}
	if err := k.Fault.Err(); err != nil {
		return Answer{Err: err, At: c.At}
	}
	t := unpackPart(k)
	t.Number, t.Consignment = c.Number, k.Consignment
	return Answer{Tracking: &t, At: c.At}
}

func unpackPart(k kept) Tracking {
	t := Tracking{Number: k.Number, CarrierStatus: k.Status}
	for _, e := range k.Events {
		t.Events = append(t.Events, Event(e))
	}
	for _, part := range k.Parts {
		t.Parts = append(t.Parts, unpackPart(part))
	}
	return t
}
