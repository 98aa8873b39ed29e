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
	"github.com/google/go-cmp/cmp"
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
	entries := []entry{{"se-1", 71, "account_created", at, []byte(`{"a":1}`)}, {"se-2", 72, "account_deleted", at, []byte(`{"b":1}`)}}
	for _, tc := range []struct {
		name    string
		answers []types.PutEventsResultEntry
		err     error
		want    []string // of the events; nil: of the call
		call    string
	}{
		{"the call fails", nil, errors.New("down"), nil, "putting events on the bus: down"},
		{"an answer for too few", []types.PutEventsResultEntry{accepted()}, nil, nil, "EventBridge answers for 1 of 2 events"},
		{"an answer for too many", slices.Repeat([]types.PutEventsResultEntry{accepted()}, 3), nil, nil, "EventBridge answers for 3 of 2 events"},
		{"one is throttled", []types.PutEventsResultEntry{refused("ThrottlingException"), accepted()}, nil, []string{"EventBridge: ThrottlingException", ""}, ""},
		{"the role may not", []types.PutEventsResultEntry{refused("AccessDeniedException"), refused("NotAuthorizedForSourceException")}, nil, []string{"EventBridge: AccessDeniedException", "EventBridge: NotAuthorizedForSourceException"}, ""},
		{"one is malformed", []types.PutEventsResultEntry{accepted(), refused("MalformedDetail")}, nil, []string{"", "never accepted: EventBridge: MalformedDetail"}, ""},
		{"both are never accepted", []types.PutEventsResultEntry{refused("InvalidArgument"), refused("RedactionFailure")}, nil, []string{"never accepted: EventBridge: InvalidArgument", "never accepted: EventBridge: RedactionFailure"}, ""},
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
				if *e.EventBusName != "the-bus" || *e.Source != "carrierlink" || *e.DetailType != entries[i].kind || !e.Time.Equal(at) || *e.Detail != string(entries[i].detail) {
					t.Errorf("entry %d = %+v", i, e)
				}
			}
		})
	}
}
