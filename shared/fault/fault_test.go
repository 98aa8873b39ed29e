package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestOf(t *testing.T) {
	one := Field(Length, "first_name", "first_name must be at most %d characters.", 24)
	two := New(Invalid, "no")
	tests := []struct {
		name string
		err  error
		want []Kind
	}{
		{"nil", nil, nil},
		{"foreign error shows nothing", errors.New("boom"), []Kind{Internal}},
		{"empty list is internal", fmt.Errorf("x: %w", List{}), []Kind{Internal}},
		{"internal hides the list beneath", fmt.Errorf("x: %w", &Error{Kind: Internal, Cause: List{one, two}}), []Kind{Internal}},
		{"internal hides the problem beneath", &Error{Kind: Internal, Cause: fmt.Errorf("reading: %w", one)}, []Kind{Internal}},
		{"the first of joined problems", errors.Join(errors.New("boom"), two, List{one}), []Kind{Invalid}},
		{"wrapped problem", fmt.Errorf("creating: %w", one), []Kind{Length}},
		{"wrapped list keeps order", fmt.Errorf("creating: %w", List{one, two}), []Kind{Length, Invalid}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got := Of(tc.err)
			if len(got) != len(tc.want) {
				t.Fatalf("Of(%v) has %d problems, want %d", tc.err, len(got), len(tc.want))
			}
			for i, k := range tc.want {
				if got[i].Kind != k {
					t.Errorf("Of(%v)[%d].Kind = %v, want %v", tc.err, i, got[i].Kind, k)
				}
			}
		})
	}
}

func TestEveryKindHasItsOwnName(t *testing.T) {
	if len(kindNames) != int(end) {
		t.Fatalf("%d names for %d kinds", len(kindNames), end)
	}
	seen := map[string]Kind{}
	for _, k := range Kinds() {
		if other, dup := seen[k.String()]; dup || k.String() == "" {
			t.Errorf("kinds %d and %d share the name %q", k, other, k)
		}
		seen[k.String()] = k
	}
	if got := end.String(); got != fmt.Sprintf("kind %d", uint8(end)) {
		t.Errorf("unknown kind prints %q", got)
	}
}

func TestErrorTextIsTheOperators(t *testing.T) {
	cause := errors.New("ConditionalCheckFailed")
	err := &Error{Kind: Conflict, Field: "email", Message: "email is taken.", Cause: cause}
	if got, want := err.Error(), "conflict email: email is taken.: ConditionalCheckFailed"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if !errors.Is(err, cause) || !errors.Is(List{err}, cause) {
		t.Error("the cause is not reachable")
	}
	if List(nil).Err() != nil || (List{err}).Err() == nil {
		t.Error("Err() must be nil exactly for an empty list")
	}
	if Is(nil, Internal) || !Is(err, Conflict) || Is(err, NotFound) {
		t.Error("Is() must hold exactly for the kind of the first problem")
	}
}
