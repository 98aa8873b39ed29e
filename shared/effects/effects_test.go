package effects_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

func TestFor(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	by := effects.By{KeyID: 1, PartnerID: 2, AccountID: 3}
	tests := []struct {
		name string
		make effects.For[int]
		want effects.Effects
		err  error
	}{
		{"an error", func(int) (effects.Effects, error) { return effects.Effects{}, broken }, effects.Effects{}, broken},
		{"nil", nil, effects.Effects{}, nil},
		{"MadeBy", effects.MadeBy[int](by), effects.Effects{By: by}, nil},
		{"from the result", func(n int) (effects.Effects, error) {
			return effects.Effects{Events: []effects.Event{{AccountID: int64(n)}}}, nil
		}, effects.Effects{Events: []effects.Event{{AccountID: 7}}}, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.make.Of(7)
			if diff := cmp.Diff(tc.want, got); diff != "" || !errors.Is(err, tc.err) {
				t.Errorf("Of(7) = %v, want %v (-want +got):\n%s", err, tc.err, diff)
			}
		})
	}
}

func TestAnswerOnly(t *testing.T) {
	t.Parallel()
	full := effects.Effects{By: effects.By{KeyID: 1}, Answer: &effects.Record{Key: "k"}, Events: []effects.Event{{ID: "e"}}}
	want := effects.Effects{By: full.By, Answer: full.Answer}
	if diff := cmp.Diff(want, full.AnswerOnly()); diff != "" {
		t.Errorf("AnswerOnly() (-want +got):\n%s", diff)
	}
	if len(full.Events) != 1 {
		t.Error("AnswerOnly() changes its receiver")
	}
}

func TestReplayDoesNotQuoteTheKey(t *testing.T) {
	t.Parallel()
	err := &effects.Replay{Record: effects.Record{Scope: "account 7", Key: "order-17"}}
	if text := err.Error(); strings.Contains(text, "order-17") || strings.Contains(text, "account 7") {
		t.Errorf("Error() = %q quotes the record", text)
	}
	// A handler that forgets to replay it answers 500, not 4xx.
	if kind := fault.KindOf(err); kind != fault.Internal {
		t.Errorf("KindOf(Replay) = %v, want %v", kind, fault.Internal)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	var r effects.Record
	if r.Finished() {
		t.Error("Finished() = true without an answer")
	}
	r.Sealed = []byte{0}
	if !r.Finished() {
		t.Error("Finished() = false with an answer")
	}
}
