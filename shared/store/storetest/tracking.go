package storetest

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/tracking"
)

// The allowance of these tests.
const (
	allowance       = 10
	allowanceWindow = time.Minute
)

// take asks for a call, and returns how long to wait for it.
func (s *suite) take(credential connection.Allowance, at time.Time) time.Duration {
	s.Helper()
	return must(s.TakeCall(s.Context(), connection.Call{Allowance: credential, Limit: allowance}, allowanceWindow, at))
}

// allowance is an allowance of which no call was made.
func (s *suite) allowance() connection.Allowance {
	return connection.CredentialAllowance(connection.UseTracking, carrier.Production, s.id(), s.hash())
}

// most is the largest number of times within any window.
func most(times []time.Time, window time.Duration) int {
	times = slices.SortedFunc(slices.Values(times), time.Time.Compare)
	n, from := 0, 0
	for i, t := range times {
		for !times[from].After(t.Add(-window)) {
			from++
		}
		n = max(n, i-from+1)
	}
	return n
}

// allowances tests TakeCall.
type allowances struct{ *suite }

func (s allowances) TestTenPerMinute() {
	credential := s.allowance()
	for i := range allowance {
		s.equal("wait", s.take(credential, now.Add(time.Duration(i)*time.Second)), time.Duration(0))
	}
	at := now.Add(20 * time.Second)
	for range 3 {
		s.equal("wait", s.take(credential, at), milli(now).Add(time.Minute).Sub(at))
	}
	s.equal("another credential's", s.take(s.allowance(), at), time.Duration(0))
	at = milli(now).Add(time.Minute - time.Millisecond)
	s.equal("wait", s.take(credential, at), time.Millisecond)
	at = milli(now).Add(time.Minute)
	s.equal("the first one's minute is over", s.take(credential, at), time.Duration(0))
	s.equal("wait", s.take(credential, at), time.Second)
	s.equal("an hour later", s.take(credential, now.Add(time.Hour)), time.Duration(0))
}

func (s allowances) TestOtherLimitCountsEarlierCalls() {
	credential := s.allowance()
	for i := range 6 {
		s.equal("wait", s.take(credential, milli(now).Add(time.Duration(i)*time.Second)), time.Duration(0))
	}
	at := milli(now).Add(30 * time.Second)
	s.equal("the last but one", must(s.TakeCall(s.Context(), connection.Call{Allowance: credential, Limit: 2}, allowanceWindow, at)), 34*time.Second)
	s.equal("the last", must(s.TakeCall(s.Context(), connection.Call{Allowance: credential, Limit: 1}, allowanceWindow, at)), 35*time.Second)
}

func (s allowances) TestNoMinuteHasMoreThanTenWhateverTheClocks() {
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // no secret
		credential := s.allowance()
		var made []time.Time
		clock := milli(now)
		for range 150 {
			clock = clock.Add(time.Duration(random.IntN(6000)) * time.Millisecond)
			at := clock.Add(time.Duration(random.IntN(20_000)-10_000) * time.Millisecond) // the caller's clock
			if s.take(credential, at) == 0 {
				made = append(made, at)
			}
		}
		if n := most(made, allowanceWindow); n > allowance {
			s.Errorf("seed %d: %d calls within a minute", seed, n)
		}
		if len(made) < 2*allowance {
			s.Errorf("seed %d: only %d calls", seed, len(made))
		}
	}
}

func (s allowances) TestWaitingAsToldIsEnough() {
	credential, clock := s.allowance(), milli(now)
	var made []time.Time
	for range 35 {
		if wait := s.take(credential, clock); wait > 0 {
			clock = clock.Add(wait)
			s.equal("after the wait", s.take(credential, clock), time.Duration(0))
		}
		made = append(made, clock)
		clock = clock.Add(time.Second)
	}
	s.equal("calls within a minute", most(made, allowanceWindow), allowance)
}

func (s allowances) TestLargeLimitSixtyAtATime() {
	const large = 1_000_000
	credential, at := s.allowance(), milli(now)
	for range 60 {
		s.equal("wait", must(s.TakeCall(s.Context(), connection.Call{Allowance: credential, Limit: large}, allowanceWindow, at)), time.Duration(0))
	}
	s.equal("wait", must(s.TakeCall(s.Context(), connection.Call{Allowance: credential, Limit: large}, allowanceWindow, at)), allowanceWindow*60/large)
	s.equal("wait after it", must(s.TakeCall(s.Context(), connection.Call{Allowance: credential, Limit: large}, allowanceWindow, at.Add(4*time.Millisecond))), time.Duration(0))
}

func (s allowances) TestUsesAndAccountsCountSeparately() {
	a, b, credential := s.id(), s.id(), s.hash()
	full := connection.CredentialAllowance(connection.UseTracking, carrier.Production, a, credential)
	for range allowance {
		s.equal("wait", s.take(full, now), time.Duration(0))
	}
	for name, other := range map[string]connection.Allowance{
		"another use":                    connection.CredentialAllowance(connection.UseChecking, carrier.Production, a, credential),
		"the sandbox":                    connection.CredentialAllowance(connection.UseTracking, carrier.Sandbox, a, credential),
		"another account, the sandbox":   connection.CredentialAllowance(connection.UseTracking, carrier.Sandbox, b, credential),
		"the account's links":            connection.AccountAllowance(connection.UseLinking, a),
		"another account's links":        connection.AccountAllowance(connection.UseLinking, b),
		"a credential that begins alike": connection.CredentialAllowance(connection.UseTracking, carrier.Production, a, credential+"0"),
	} {
		s.equal(name, s.take(other, now), time.Duration(0))
	}
	if s.take(connection.CredentialAllowance(connection.UseTracking, carrier.Production, b, credential), now) == 0 {
		s.Error("another account's calls with the credential are not counted with it")
	}
}

func (s allowances) TestConcurrentCalls() {
	credential, made := s.allowance(), 0
	for _, wait := range race(30, func(int) time.Duration {
		wait, err := s.TakeCall(s.Context(), connection.Call{Allowance: credential, Limit: allowance}, allowanceWindow, now)
		if err != nil {
			s.Error(err)
		}
		return wait
	}) {
		if wait == 0 {
			made++
		}
	}
	s.equal("calls", made, allowance)
}

// trackingCache tests CacheTracking and CachedTracking.
type trackingCache struct{ *suite }

func (s trackingCache) TestNothing() {
	s.equal("cached", len(must(s.CachedTracking(s.Context(), s.id(), "se-1", []string{"a", "b"}, now))), 0)
	s.equal("of no numbers", len(must(s.CachedTracking(s.Context(), s.id(), "se-1", nil, now))), 0)
	s.ok(s.CacheTracking(s.Context(), s.id(), "se-1", nil))
}

func (s trackingCache) TestUntilItExpires() {
	account, connection := s.id(), s.connectionID()
	end := now.Add(5 * time.Minute).Truncate(time.Second)
	var kept []tracking.Cached
	var numbers []string
	for i, number := range []string{"7XX1000634011427", "a#b", "größe", " ", strings.Repeat("z", 50)} {
		kept = append(kept, tracking.Cached{
			Number: number, At: milli(now), Body: []byte(`{"n":` + strconv.Itoa(i) + `}`), ExpiresAt: end.Add(time.Duration(i) * time.Second),
		})
		numbers = append(numbers, number)
	}
	s.ok(s.CacheTracking(s.Context(), account, connection, kept))
	got := must(s.CachedTracking(s.Context(), account, connection, append(numbers, "absent", numbers[0]), end.Add(-time.Nanosecond)))
	s.equal("cached", len(got), len(kept))
	for _, t := range kept {
		s.equal(t.Number, got[t.Number], t)
	}
	s.equal("later", len(must(s.CachedTracking(s.Context(), account, connection, numbers, end.Add(time.Second)))), len(kept)-2)
	for _, other := range []struct {
		account    int64
		connection string
	}{{s.id(), connection}, {account, s.connectionID()}} {
		s.equal("of another connection", len(must(s.CachedTracking(s.Context(), other.account, other.connection, numbers, now))), 0)
	}
}

func (s trackingCache) TestLatestStays() {
	account, end := s.id(), now.Add(time.Hour).Truncate(time.Second)
	at := func(i byte) tracking.Cached {
		return tracking.Cached{Number: "n", At: milli(now.Add(time.Duration(i) * time.Second)), Body: []byte{i}, ExpiresAt: end}
	}
	s.ok(s.CacheTracking(s.Context(), account, "se-1", []tracking.Cached{at(1)}))
	s.ok(s.CacheTracking(s.Context(), account, "se-1", []tracking.Cached{at(2), at(3)}))
	got := must(s.CachedTracking(s.Context(), account, "se-1", []string{"n"}, now))
	s.equal("cached", got, map[string]tracking.Cached{"n": at(3)})
	got["n"].Body[0] = 9
	s.equal("shares no memory", must(s.CachedTracking(s.Context(), account, "se-1", []string{"n"}, now)), map[string]tracking.Cached{"n": at(3)})
}

func (s trackingCache) TestAsManyAsOneWriteTakes() {
	account := s.id()
	var kept []tracking.Cached
	var numbers []string
	for i := range 25 {
		numbers = append(numbers, strconv.Itoa(i))
		kept = append(kept, tracking.Cached{Number: numbers[i], At: milli(now), ExpiresAt: now.Add(time.Hour).Truncate(time.Second)})
	}
	s.ok(s.CacheTracking(s.Context(), account, "se-1", kept))
	s.equal("cached", len(must(s.CachedTracking(s.Context(), account, "se-1", numbers, now))), 25)
}
