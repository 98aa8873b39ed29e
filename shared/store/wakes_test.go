package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/webhook"
)

// TestWakeAtTheEndOfARun: a webhook whose run ends between the two calls of MarkDue is due.
func TestWakeAtTheEndOfARun(t *testing.T) {
	s, now := storetest.NewMemory(), time.UnixMilli(1_800_000_000_000).UTC()
	ref := webhook.Ref{Owner: webhook.Owner{PartnerID: 5}, ID: "se-1"}
	run, err := s.ClaimRun(t.Context(), ref, now.Add(45*time.Second), now)
	if err != nil {
		t.Fatal(err)
	}
	updates := 0
	s.Table.Trouble = func(_ string, in any) dynamotest.Trouble {
		if _, ok := in.(*dynamodb.UpdateItemInput); !ok {
			return dynamotest.Trouble{}
		}
		if updates++; updates == 2 {
			if woken, err := s.EndRun(context.WithoutCancel(t.Context()), &run, webhook.End{UnlessWoken: true}, now); woken || err != nil {
				t.Errorf("EndRun = %t, %v, want false, nil", woken, err)
			}
		}
		return dynamotest.Trouble{}
	}
	if err := s.MarkDue(t.Context(), []webhook.Ref{ref}, now); err != nil {
		t.Fatal(err)
	}
	if due, _, err := s.DueWebhooks(t.Context(), now, 10); err != nil || len(due) != 1 {
		t.Errorf("DueWebhooks = %v, %v, want the webhook", due, err)
	}
}
