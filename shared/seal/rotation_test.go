package seal_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
)

// original is a service secret as CloudFormation makes it.
const original = "k3yOfSixtyFourLettersk3yOfSixtyFourLettersk3yOfSixtyFourLetters00"

// service is a service secret with a clock, and processes that read it.
type service struct {
	t     *testing.T
	text  secret.Text
	clock time.Time
	down  error // what reading it fails with
	reads map[string]int
}

func newService(t *testing.T) *service {
	t.Helper()
	return &service{t: t, text: secret.New(original), clock: time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC), reads: map[string]int{}}
}

// process returns a process that has not read the secret yet.
func (s *service) process(name string) *seal.Sealer {
	return seal.New(func(context.Context) (secret.Text, error) {
		s.reads[name]++
		return s.text, s.down
	}, func() time.Time { return s.clock })
}

func (s *service) rotate() seal.Rotation {
	s.t.Helper()
	next, made, err := seal.Rotate(s.text, rand.Reader, s.clock)
	if err != nil {
		s.t.Fatal(err)
	}
	s.text = next
	return made
}

// record is what a process has sealed and signed.
type record struct {
	by          string
	at          time.Time
	sealed, mac []byte
}

func (s *service) make(name string, p *seal.Sealer) record {
	s.t.Helper()
	sealed, err := p.Seal(s.t.Context(), "owner", []byte("plain"))
	if err != nil {
		s.t.Fatalf("%s, %s: Seal: %v", s.clock.Format(time.TimeOnly), name, err)
	}
	mac, err := p.MAC(s.t.Context(), "cursor", []byte("a"), []byte("bc"))
	if err != nil {
		s.t.Fatalf("%s, %s: MAC: %v", s.clock.Format(time.TimeOnly), name, err)
	}
	return record{name, s.clock, sealed, mac}
}

// read returns why a process cannot read a record, nil if it can.
func (s *service) read(p *seal.Sealer, r record) error {
	s.t.Helper()
	plain, err := p.Open(s.t.Context(), "owner", r.sealed)
	if err == nil && string(plain) != "plain" {
		err = fmt.Errorf("Open = %q", plain)
	}
	for _, mac := range [][]byte{r.mac, r.mac[:16]} {
		if ok, verifyErr := p.Verify(s.t.Context(), mac, "cursor", []byte("a"), []byte("bc")); !ok {
			err = errors.Join(err, fmt.Errorf("Verify of %d bytes = %t, %w", len(mac), ok, verifyErr))
		}
	}
	return err
}

// id returns the id of the key that a record is from.
func (r record) id() string { return string(r.sealed[:4]) }

// TestBeforeTheFirstRotation: what was sealed and signed before there were key ids is
// what is sealed and signed now, and the secret stays as CloudFormation made it.
func TestBeforeTheFirstRotation(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p := s.process("one")
	// Made by the version before key ids.
	sealed, _ := hex.DecodeString("20eff9fa7dcf669706434fbc11809c1d1d30dda5714bb0bdd591ff836232106120fd1bec7e8e")
	mac, _ := hex.DecodeString("b0edbc3dc472d2fbd0f737c446ace84dbc31619a514953f1da3b533c3f02b47c")
	check := func(when string, p *seal.Sealer) {
		t.Helper()
		if plain, err := p.Open(t.Context(), "owner", sealed); err != nil || string(plain) != "plain text" {
			t.Errorf("%s: Open = %q, %v", when, plain, err)
		}
		if ok, err := p.Verify(t.Context(), mac, "cursor", []byte("a"), []byte("bc")); !ok || err != nil {
			t.Errorf("%s: Verify = %t, %v", when, ok, err)
		}
	}
	check("before", p)
	if got := s.make("one", p); string(got.mac) != string(mac) || len(got.sealed) != len("plain")+28 {
		t.Errorf("MAC = %x, and %d bytes are sealed; want those of before key ids", got.mac, len(got.sealed))
	}
	made := s.rotate()
	check("rotated", s.process("new"))
	s.clock = made.PreviousUntil.Add(-time.Second)
	check("in the old key's last second", s.process("later"))
	s.clock = made.PreviousUntil
	late := s.process("late")
	if _, err := late.Open(t.Context(), "owner", sealed); !errors.Is(err, seal.ErrForged) {
		t.Errorf("after the old key's end: Open = %v, want ErrForged", err)
	}
	if ok, err := late.Verify(t.Context(), mac, "cursor", []byte("a"), []byte("bc")); ok || err != nil {
		t.Errorf("after the old key's end: Verify = %t, %v", ok, err)
	}
}

// TestRotatedTwiceWithinAnHour runs processes through two days with three rotations, two
// of them within a minute. Every process can read what every process has sealed in the
// last 24 hours, also one that knows only the old key.
func TestRotatedTwiceWithinAnHour(t *testing.T) {
	t.Parallel()
	s := newService(t)
	start := s.clock
	processes := map[string]*seal.Sealer{}
	begin := func(name string) { processes[name] = s.process(name) }
	begin("old")
	s.make("old", processes["old"]) // it reads the secret
	rotations := map[int]bool{10: true, 49: true, 50: true}
	var records []record
	used := map[string]bool{}
	step := 1
	for minute := 0; minute < 50*60; minute += step {
		if minute == 120 {
			step = 10
		}
		if minute%480 == 240 || minute == 9 || minute == 11 || minute == 12 {
			begin(fmt.Sprint("from minute ", minute))
		}
		if rotations[minute] {
			made := s.rotate()
			if made.Keys != 2 && made.Keys != 3 && made.Keys != 4 {
				t.Fatalf("%d keys", made.Keys)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(processes)) {
			p := processes[name]
			// New records of others first, while this process knows the fewest keys; old
			// ones at times.
			for i, r := range slices.Backward(records) {
				if age := s.clock.Sub(r.at); age > 24*time.Hour || minute%240 != 0 && len(records)-i > 2*len(processes) {
					break
				}
				if err := s.read(p, r); err != nil {
					t.Fatalf("minute %d: %s cannot read what %s sealed at %s: %v", minute, name, r.by, r.at.Sub(start), err)
				}
			}
			if minute < 70 || minute%60 == 0 {
				made := s.make(name, p)
				records, used[made.id()] = append(records, made), true
			}
		}
		s.clock = s.clock.Add(time.Duration(step) * time.Minute)
	}
	for name, n := range s.reads {
		if most := 60; n > most {
			t.Errorf("%s has read the secret %d times in two days, want at most %d", name, n, most)
		}
	}
	if last := s.make("old", processes["old"]); last.id() != s.make("new", s.process("new")).id() {
		t.Error("the oldest process still seals with an old key")
	}
}

// TestProcessAlone: a process that meets nobody's data uses a new key once its copy is an
// hour old.
func TestProcessAlone(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p := s.process("alone")
	s.make("alone", p)
	made := s.rotate()
	s.clock = s.clock.Add(seal.CopyLife - time.Second)
	if s.make("alone", p).id() == made.KeyID || s.reads["alone"] != 1 {
		t.Errorf("the copy was read again early: %d reads", s.reads["alone"])
	}
	s.clock = s.clock.Add(time.Second)
	if s.make("alone", p).id() != made.KeyID || s.reads["alone"] != 2 {
		t.Errorf("an hour later it seals with the old key: %d reads", s.reads["alone"])
	}
}

// TestOldProcess: a process that knows only the old key meets a new one at once, in the
// second in which it is used first.
func TestOldProcess(t *testing.T) {
	t.Parallel()
	for _, readBefore := range []time.Duration{0, 30 * time.Second, time.Minute, 59 * time.Minute} {
		t.Run(readBefore.String()+" old", func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			old := s.process("old")
			before := s.make("old", old)
			s.clock = s.clock.Add(readBefore)
			made := s.rotate()
			unused := s.make("new", s.process("new"))
			if err := s.read(old, unused); err != nil || s.reads["old"] != 1 {
				t.Errorf("before the new key is used: %v, %d reads", err, s.reads["old"])
			}
			s.clock = made.UsedFrom
			fresh := s.process("fresh")
			after := s.make("fresh", fresh)
			if after.id() != made.KeyID || before.id() == made.KeyID {
				t.Errorf("keys %s and %s, want %s to be that of the later one", before.id(), after.id(), made.KeyID)
			}
			if err := errors.Join(s.read(old, after), s.read(old, before), s.read(fresh, before), s.read(fresh, unused)); err != nil {
				t.Error(err)
			}
			if s.reads["old"] != 2 {
				t.Errorf("the old process has read the secret %d times, want 2", s.reads["old"])
			}
		})
	}
}

// TestNobodyMakesItRead: data with an unknown key makes a process read the secret once a
// minute at most, and data with a known one never.
func TestNobodyMakesItRead(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.rotate()
	s.clock = s.clock.Add(seal.UsedAfter)
	p := s.process("p")
	good := s.make("p", p)
	for second := range 600 {
		for range 5 {
			forged := slices.Clone(good.mac)
			forged[31] ^= 1
			if ok, err := p.Verify(t.Context(), forged, "cursor", []byte("a"), []byte("bc")); ok || err != nil {
				t.Fatalf("Verify of a changed one = %t, %v", ok, err)
			}
		}
		if second == 599 && s.reads["p"] != 1 {
			t.Errorf("a known key: %d reads in ten minutes, want 1", s.reads["p"])
		}
		s.clock = s.clock.Add(time.Second)
	}
	for range 600 {
		for range 5 {
			unknown := make([]byte, 32)
			_, _ = rand.Read(unknown)
			if _, err := p.Open(t.Context(), "owner", unknown); !errors.Is(err, seal.ErrForged) {
				t.Fatalf("Open = %v, want ErrForged", err)
			}
			if ok, err := p.Verify(t.Context(), unknown[:16], "cursor"); ok || err != nil {
				t.Fatalf("Verify = %t, %v", ok, err)
			}
		}
		s.clock = s.clock.Add(time.Second)
	}
	if got := s.reads["p"] - 1; got < 9 || got > 11 {
		t.Errorf("unknown keys: %d reads in ten minutes, want about 10", got)
	}
}

// TestThrottledForAMinute: Secrets Manager answers nothing for a minute. A process with a
// copy goes on; an unknown key meanwhile is an error and not a forgery.
func TestThrottledForAMinute(t *testing.T) {
	t.Parallel()
	s := newService(t)
	down := errors.New("ThrottlingException")
	s.down = down
	cold := s.process("cold")
	if _, err := cold.Seal(t.Context(), "owner", nil); !errors.Is(err, down) {
		t.Errorf("Seal without a copy = %v, want %v", err, down)
	}
	s.down = nil
	p := s.process("p")
	s.make("p", p)
	s.clock = s.clock.Add(seal.CopyLife - seal.UsedAfter)
	made := s.rotate()
	s.clock = made.UsedFrom
	theirs := s.make("other", s.process("other"))
	s.down = down
	reads := s.reads["p"]
	for range 60 {
		ours := s.make("p", p) // the copy is an hour old
		if err := s.read(p, ours); err != nil {
			t.Errorf("its own: %v", err)
		}
		if _, err := p.Open(t.Context(), "owner", theirs.sealed); !errors.Is(err, down) || errors.Is(err, seal.ErrForged) {
			t.Errorf("Open = %v, want %v", err, down)
		}
		if ok, err := p.Verify(t.Context(), theirs.mac, "cursor", []byte("a"), []byte("bc")); ok || !errors.Is(err, down) {
			t.Errorf("Verify = %t, %v, want %v", ok, err, down)
		}
		s.clock = s.clock.Add(time.Second)
	}
	if n := s.reads["p"] - reads; n != 1 {
		t.Errorf("%d reads in that minute, want 1", n)
	}
	s.down = nil
	if err := s.read(p, theirs); err != nil {
		t.Errorf("after that minute: %v", err)
	}
	if _, err := cold.Seal(t.Context(), "owner", nil); err != nil {
		t.Errorf("Seal, after that minute: %v", err)
	}
}

// TestRequestThatEnds: a request that ends while the copy is renewed does not count as a
// try.
func TestRequestThatEnds(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p := s.process("p")
	s.make("p", p)
	s.clock = s.clock.Add(seal.CopyLife)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.down = context.Canceled
	unknown := make([]byte, 32)
	_, _ = rand.Read(unknown)
	_, _ = p.Open(ctx, "owner", unknown)
	s.down = nil
	if _, err := p.Open(t.Context(), "owner", unknown); !errors.Is(err, seal.ErrForged) {
		t.Errorf("Open = %v, want ErrForged", err)
	}
}

// TestSettledSince: what was sealed before may have an older key, whatever the age of the
// copy of the process that has sealed it, and can be opened for another day.
func TestSettledSince(t *testing.T) {
	s := newService(t)
	since := func(want time.Time) {
		t.Helper()
		if got, err := s.process("asked").SettledSince(t.Context()); err != nil || !got.Equal(want) {
			t.Errorf("%v: SettledSince = %v, %v, want %v", s.clock, got, err, want)
		}
	}
	s.down = errors.New("down")
	if _, err := s.process("asked").SettledSince(t.Context()); !errors.Is(err, s.down) {
		t.Errorf("SettledSince = %v, want %v", err, s.down)
	}
	s.down = nil
	since(time.Time{})
	first := s.rotate()
	since(time.Time{})
	s.clock = first.UsedFrom.Add(24*time.Hour - time.Second)
	since(time.Time{})
	s.clock = s.clock.Add(time.Second)
	since(first.UsedFrom.Add(24 * time.Hour))
	if first.PreviousUntil.Sub(s.clock) < 24*time.Hour {
		t.Errorf("the key before opens until %v, want a day after %v", first.PreviousUntil, s.clock)
	}
	second := s.rotate()
	since(first.UsedFrom.Add(24 * time.Hour))
	s.clock = second.UsedFrom.Add(72 * time.Hour)
	since(second.UsedFrom.Add(24 * time.Hour))
}

func TestRotateRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for range seal.MaxKeys - 1 {
		s.rotate()
		s.clock = s.clock.Add(time.Second)
	}
	_, _, err := seal.Rotate(s.text, rand.Reader, s.clock)
	if want := "the service secret has 10 keys, which is the limit; the oldest goes at 2026-11-29T10:02:00Z"; err == nil || err.Error() != want {
		t.Errorf("Rotate = %v, want %s", err, want)
	}
	s.clock = time.Date(2026, 11, 29, 10, 2, 0, 0, time.UTC)
	if made := s.rotate(); made.Keys != seal.MaxKeys {
		t.Errorf("%d keys, want %d", made.Keys, seal.MaxKeys)
	}
	if strings.Contains(s.text.Reveal(), original) {
		t.Error("the secret still has the key that has ended")
	}
	if _, _, err := seal.Rotate(s.text, strings.NewReader("short"), s.clock.AddDate(0, 0, 3)); err == nil {
		t.Error("Rotate succeeded without randomness")
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.clock = s.clock.Add(300 * time.Millisecond)
	first := s.rotate()
	s.clock = s.clock.Add(-time.Minute) // another clock
	second := s.rotate()
	if want := time.Date(2026, 11, 27, 10, 2, 0, 0, time.UTC); !first.UsedFrom.Equal(want) || !second.UsedFrom.Equal(want) || !first.PreviousUntil.Equal(want.Add(48*time.Hour)) {
		t.Errorf("rotations %+v and %+v, want both used from %s", first, second, want)
	}
	var value struct {
		Keys []struct {
			ID   string `json:"id"`
			Text string `json:"text"`
			From int64  `json:"from"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(s.text.Reveal()), &value); err != nil || len(value.Keys) != 3 || value.Keys[0].Text != original || value.Keys[0].ID != "" || value.Keys[0].From != 0 {
		t.Fatalf("the secret has %d keys, %v", len(value.Keys), err)
	}
	for i, made := range []seal.Rotation{first, second} {
		if k := value.Keys[i+1]; k.ID != made.KeyID || len(k.ID) != 4 || len(k.Text) != 64 || made.Keys != i+2 {
			t.Errorf("key %d has the id %q and %d letters; %+v", i+1, k.ID, len(k.Text), made)
		}
	}
}

func TestMalformedSecret(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "{", `{"keys":[]}`, `{"keys":[{"id":"","text":""}]}`, `{"keys":[{"id":"00","text":"canary"}]}`, `{"keys":[{"id":"ABCDE","text":"canary"}]}`,
		`{"keys":[{"id":0,"text":"canary"}]}`, `{"canary":1}`,
	} {
		_, err := sealer(text).Seal(t.Context(), "owner", nil)
		_, _, rotateErr := seal.Rotate(secret.New(text), rand.Reader, time.Now())
		for _, err := range []error{err, rotateErr} {
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v, want an error that does not show it", text, err)
			}
		}
	}
}

// TestGeneratedBrace: a text that was generated with punctuation may begin like JSON.
func TestGeneratedBrace(t *testing.T) {
	s := newService(t)
	s.text = secret.New("{" + original[2:])
	sealed, err := s.process("before").Seal(t.Context(), "record", []byte("answer"))
	if err != nil {
		t.Fatal(err)
	}
	s.rotate()
	if got, err := s.process("after").Open(t.Context(), "record", sealed); err != nil || string(got) != "answer" {
		t.Errorf("Open = %q, %v", got, err)
	}
}

// TestFirstRead: a failure is not kept, a success is; concurrent uses make one call.
func TestFirstRead(t *testing.T) {
	t.Parallel()
	reads := 0
	down := errors.New("down")
	var calling, answer chan struct{}
	p := seal.New(func(context.Context) (secret.Text, error) {
		if reads++; reads < 3 {
			return secret.Text{}, down
		}
		close(calling)
		<-answer
		return secret.New("text"), nil
	}, time.Now)
	for range 2 {
		if _, err := p.MAC(t.Context(), "p"); !errors.Is(err, down) {
			t.Fatalf("MAC = %v, want %v", err, down)
		}
	}
	calling, answer = make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	use := func() {
		if _, err := p.MAC(t.Context(), "p"); err != nil {
			t.Errorf("MAC = %v", err)
		}
	}
	wg.Go(use)
	<-calling
	for range 20 {
		wg.Go(use)
	}
	close(answer)
	wg.Wait()
	if reads != 3 {
		t.Errorf("%d reads, want 3", reads)
	}
}

func TestVerifyRefusesOtherLengths(t *testing.T) {
	t.Parallel()
	p := sealer("the service secret")
	mac, err := p.MAC(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]bool{0: false, 15: false, 16: true, 32: true, 33: false} {
		if ok, err := p.Verify(t.Context(), append(mac, 0)[:n], "p"); ok != want || err != nil {
			t.Errorf("Verify of %d bytes = %t, %v, want %t", n, ok, err, want)
		}
	}
}
