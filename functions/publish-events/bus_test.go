package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
)

// fakeAPI answers PutEvents.
type fakeAPI struct {
	in  *eventbridge.PutEventsInput
	out *eventbridge.PutEventsOutput
	err error
}

// PutEvents keeps what it is asked.
func (f *fakeAPI) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	f.in = in
	return f.out, f.err
}

func accepted() types.PutEventsResultEntry {
	return types.PutEventsResultEntry{EventId: aws.String("1")}
}

func refused(code string) types.PutEventsResultEntry {
	return types.PutEventsResultEntry{ErrorCode: &code, ErrorMessage: aws.String("canary")}
}

// TestPut checks what is told of each event: never EventBridge's own text, which may quote it.
func TestPut(t *testing.T) {
	at := time.Date(2031, 1, 2, 3, 4, 5, 678e6, time.UTC)
	entries := []entry{{"se-1", account.Owned{AccountID: 71}, "account_created", at, []byte(`{"a":1}`)}, {"se-2", account.Owned{AccountID: 72}, "account_deleted", at, []byte(`{"b":1}`)}}
	for _, tc := range []struct {
		name    string
		answers []types.PutEventsResultEntry
		err     error
		want    []string // of the events; nil: of the call
		call    string
	}{
		{"the call fails", nil, errors.New("down"), nil, "putting events on the bus: down"},
		{"the call is refused", nil, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "canary"}, nil, "putting events on the bus: EventBridge: AccessDeniedException"},
		{"no event is valid", nil, &smithy.GenericAPIError{Code: "ValidationException", Message: "canary"}, nil, "putting events on the bus: EventBridge: ValidationException"},
		{"an answer for too few", []types.PutEventsResultEntry{accepted()}, nil, nil, "putting events on the bus: EventBridge answers for 1 of 2 events"},
		{"an answer for too many", slices.Repeat([]types.PutEventsResultEntry{accepted()}, 3), nil, nil, "putting events on the bus: EventBridge answers for 3 of 2 events"},
		{"one is throttled", []types.PutEventsResultEntry{refused("ThrottlingException"), accepted()}, nil, []string{"EventBridge: ThrottlingException", ""}, ""},
		{"the role may not", []types.PutEventsResultEntry{refused("AccessDeniedException"), refused("NotAuthorizedForSourceException")}, nil, []string{"EventBridge: AccessDeniedException", "EventBridge: NotAuthorizedForSourceException"}, ""},
		{"one is malformed", []types.PutEventsResultEntry{accepted(), refused("MalformedDetail")}, nil, []string{"", "never accepted: EventBridge: MalformedDetail"}, ""},
		{"what AWS calls final", []types.PutEventsResultEntry{refused("InvalidArgument"), refused("RedactionFailure")}, nil, []string{"EventBridge: InvalidArgument", "EventBridge: RedactionFailure"}, ""},
		{"one has neither id nor code", []types.PutEventsResultEntry{{}, accepted()}, nil, []string{"EventBridge: no reason given", ""}, ""},
		{"accepted", []types.PutEventsResultEntry{accepted(), accepted()}, nil, []string{"", ""}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			api := &fakeAPI{out: &eventbridge.PutEventsOutput{Entries: tc.answers}, err: tc.err}
			errs, err := (&bus{api, "the-bus"}).Put(t.Context(), entries)
			var got []string
			for _, e := range errs {
				text := ""
				if e != nil {
					text = e.Error()
				}
				if errors.Is(e, errNever) != strings.Contains(text, "never") {
					t.Errorf("%v is errNever: %t", e, errors.Is(e, errNever))
				}
				got = append(got, text)
			}
			call := ""
			if err != nil {
				call = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || call != tc.call {
				t.Errorf("Put = %v, %q (-want +got):\n%s, want the error %q", got, call, diff, tc.call)
			}
			for i, e := range api.in.Entries {
				if len(api.in.Entries) == 1 {
					i = 1 // of a call for each, this is the last one
				}
				if *e.EventBusName != "the-bus" || *e.Source != "carrierlink" || *e.DetailType != entries[i].kind || !e.Time.Equal(at) || *e.Detail != string(entries[i].detail) {
					t.Errorf("entry %d = %+v", i, e)
				}
			}
		})
	}
}

// picky refuses calls that have an event with one of certain details.
type picky struct {
	bad   string // a digit for each
	fail  error  // of calls with one event that is not bad; nil: they succeed
	calls []int  // the events of each call
}

// PutEvents refuses or accepts a call.
func (p *picky) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	p.calls = append(p.calls, len(in.Entries))
	out := &eventbridge.PutEventsOutput{}
	for _, e := range in.Entries {
		if strings.Contains(p.bad, *e.Detail) {
			return nil, &smithy.GenericAPIError{Code: "ValidationException", Message: "canary"}
		}
		out.Entries = append(out.Entries, accepted())
	}
	if len(in.Entries) == 1 && p.fail != nil {
		return nil, p.fail
	}
	return out, nil
}

// TestInvalidCall: of a call that EventBridge finds invalid, only the event that it means is
// refused.
func TestInvalidCall(t *testing.T) {
	entries := []entry{{detail: []byte("1")}, {detail: []byte("2")}, {detail: []byte("3")}}
	for _, tc := range []struct {
		bad   string
		fail  error
		calls []int
		want  []string
		call  string
	}{
		{"0", nil, []int{3}, []string{"", "", ""}, ""},
		{"2", nil, []int{3, 1, 1, 1}, []string{"", "never accepted: EventBridge: ValidationException", ""}, ""},
		{"13", nil, []int{3, 1, 1, 1}, []string{"never accepted: EventBridge: ValidationException", "", "never accepted: EventBridge: ValidationException"}, ""},
		{"123", nil, []int{3, 1, 1, 1}, nil, "putting events on the bus: EventBridge: ValidationException"},
		{"2", errors.New("down"), []int{3, 1}, nil, "putting events on the bus: down"},
		{"2", &smithy.GenericAPIError{Code: "ThrottlingException", Message: "canary"}, []int{3, 1}, nil, "putting events on the bus: EventBridge: ThrottlingException"},
	} {
		api := &picky{bad: tc.bad, fail: tc.fail}
		refused, err := (&bus{api, "b"}).Put(t.Context(), entries)
		var got []string
		for _, e := range refused {
			text := ""
			if e != nil {
				text = e.Error()
			}
			got = append(got, text)
		}
		call := ""
		if err != nil {
			call = err.Error()
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || call != tc.call || !slices.Equal(api.calls, tc.calls) {
			t.Errorf("with a bad %q: %q in calls of %v, want %q in %v (-want +got):\n%s", tc.bad, call, api.calls, tc.call, tc.calls, diff)
		}
	}
}
