package storetest

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/effects"
)

// claims claims an idempotency key at a time.
func (s *suite) claims(what string, rec effects.Record, at time.Time) {
	s.Helper()
	if err := s.ClaimIdempotency(s.Context(), rec, at); err != nil {
		s.Fatalf("%s: ClaimIdempotency = %v, want the claim", what, err)
	}
}

// findsClaimed checks that the key of rec is taken by another record at a time.
func (s *suite) findsClaimed(what string, rec effects.Record, at time.Time, want effects.Record) {
	s.Helper()
	s.replays(what, s.ClaimIdempotency(s.Context(), rec, at), want)
}

// answered claims an idempotency key, and returns its record with an answer.
func (s *suite) answered() effects.Record {
	s.Helper()
	rec := s.newRecord()
	s.claims("claim", rec, now)
	rec.Sealed = []byte{0, 255, 1}
	return rec
}

// rival is another request under the record's key.
func rival(rec effects.Record) effects.Record {
	rec.ClaimID = "rival of " + rec.ClaimID
	rec.PayloadMAC = []byte("another payload")
	return rec
}

// claims tests ClaimIdempotency and ReleaseIdempotency.
type claims struct{ *suite }

func (s claims) TestClaimHoldsUntilItsLeaseEnds() {
	rec := s.newRecord()
	s.claims("first", rec, now)
	other := rival(rec)
	other.LeaseUntil = other.LeaseUntil.Add(time.Minute)
	s.findsClaimed("at once", other, now, rec)
	s.findsClaimed("just before", other, rec.LeaseUntil.Add(-time.Millisecond), rec)
	s.claims("lease over", other, rec.LeaseUntil)
	s.findsClaimed("the first one again", rec, rec.LeaseUntil, other)
}

func (s claims) TestSDKRetryOfAClaimSucceeds() {
	rec := s.newRecord()
	s.claims("first", rec, now)
	s.claims("repeat", rec, now)
}

func (s claims) TestAnswerHoldsUntilItExpires() {
	c, rec := s.intent(s.account().ID), s.answered()
	s.ok(s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{Answer: &rec}, now))
	other := rival(rec)
	other.Sealed = nil
	s.findsClaimed("at once", other, now, rec)
	s.findsClaimed("its own id does not make an answer a claim", rec, now, rec)
	s.findsClaimed("after the lease", other, rec.LeaseUntil.Add(time.Hour), rec)
	s.findsClaimed("just before it expires", other, rec.ExpiresAt.Add(-time.Millisecond), rec)
	other.ExpiresAt = other.ExpiresAt.Add(48 * time.Hour)
	s.claims("expired", other, rec.ExpiresAt)
}

func (s claims) TestScopesAndKeysAreSeparate() {
	rec := s.newRecord()
	s.claims("first", rec, now)
	for _, key := range []string{"Order-17", "order-17 ", "#", strings.Repeat("~", 255)} {
		other := rec
		other.Key = key
		s.claims(key, other, now)
	}
	moved := rec
	moved.Scope, moved.Key = rec.Scope[:len(rec.Scope)-1], rec.Scope[len(rec.Scope)-1:]+rec.Key
	s.claims("a letter moved from scope to key", moved, now)
}

func (s claims) TestReleaseFreesOnlyItsOwnClaim() {
	rec := s.newRecord()
	s.ok(s.ReleaseIdempotency(s.Context(), rec)) // gone already
	s.claims("first", rec, now)
	s.ok(s.ReleaseIdempotency(s.Context(), rival(rec)))
	s.findsClaimed("a release by another request", rival(rec), now, rec)
	s.ok(s.ReleaseIdempotency(s.Context(), rec))
	s.ok(s.ReleaseIdempotency(s.Context(), rec))
	s.claims("free again", rival(rec), now)
}

func (s claims) TestReleaseKeepsAnAnswer() {
	c, rec := s.intent(s.account().ID), s.answered()
	s.ok(s.FinishLink(s.Context(), &c, nil, nil, effects.Effects{Answer: &rec}, now))
	s.ok(s.ReleaseIdempotency(s.Context(), rec))
	s.findsClaimed("answer", rival(rec), now, rec)
}

func (s claims) TestConcurrentClaims() {
	rec := s.newRecord()
	claimed := 0
	for _, err := range race(20, func(i int) error {
		mine := rec
		mine.ClaimID = strconv.Itoa(i)
		return s.ClaimIdempotency(s.Context(), mine, now)
	}) {
		if _, taken := errors.AsType[*effects.Replay](err); err == nil {
			claimed++
		} else if !taken {
			s.Error(err)
		}
	}
	s.equal("claims", claimed, 1)
}
