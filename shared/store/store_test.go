package store_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/mail"
	"carrierlink/shared/parcel"
	"carrierlink/shared/signin"
	"carrierlink/shared/store"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/tracking"
	"carrierlink/shared/webhook"
)

// These tests give answers that emulators never give.

func conflicted(codes ...string) error {
	e := &types.TransactionCanceledException{Message: aws.String("Transaction cancelled")}
	for _, code := range codes {
		e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String(code)})
	}
	return e
}

// zeros is a source of randomness that makes every wait the shortest.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// ones is a source of randomness that makes every wait the longest.
type ones struct{}

func (ones) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 0xff
	}
	return len(b), nil
}

func create(ctx context.Context, s *store.Store) error {
	return s.CreateAccount(ctx, account.NewAccount{
		Account: account.Account{ID: 1, PartnerID: 2, Email: "a@b.example", EmailKey: "a@b.example"}, Key: account.APIKey{PartnerID: 2, AccountID: 1, Hash: "h"},
	}, effects.Effects{Answer: &effects.Record{Scope: "s", Key: "k", ExpiresAt: time.Unix(1, 0)}}, time.Unix(0, 0))
}

func use(ctx context.Context, s *store.Store) error {
	_, err := s.UseKey(ctx, account.KeyUse{AccountID: 1, Hash: "h", Now: time.Unix(1000, 0), Limit: 1})
	return err
}

func claim(ctx context.Context, s *store.Store) error {
	return s.ClaimIdempotency(ctx, effects.Record{Scope: "s", Key: "k", ExpiresAt: time.Unix(1, 0)}, time.Unix(0, 0))
}

func release(ctx context.Context, s *store.Store) error {
	return s.ReleaseIdempotency(ctx, effects.Record{Scope: "s", Key: "k"})
}

func check(ctx context.Context, s *store.Store) error {
	_, err := s.ClaimCheck(ctx, connection.Connection{ID: "se-1", AccountID: 1, Version: 1}, nil, time.Unix(1, 0), time.Unix(0, 0))
	return err
}

func record(ctx context.Context, s *store.Store) error {
	return s.RecordCheck(ctx, &connection.Connection{ID: "se-1", AccountID: 1, Version: 1}, nil, nil, effects.Effects{}, time.Unix(0, 0))
}

func recordAll(ctx context.Context, s *store.Store) error {
	return s.RecordCheck(ctx, &connection.Connection{ID: "se-1", AccountID: 1, Version: 1}, &connection.HistoryEntry{}, nil, effects.Effects{}, time.Unix(0, 0))
}

func due(ctx context.Context, s *store.Store) error {
	_, err := s.ClaimDue(ctx, connection.Due{AccountID: 1, ConnectionID: "se-1"}, time.Unix(1, 0), time.Unix(0, 0), health.Timing{})
	return err
}

func finish(ctx context.Context, s *store.Store) error {
	return s.FinishLink(ctx, &connection.Connection{ID: "se-1", AccountID: 1, Version: 1}, nil, nil, effects.Effects{}, time.Unix(0, 0))
}

func drop(ctx context.Context, s *store.Store) error {
	return s.DropLink(ctx, connection.Connection{ID: "se-1", AccountID: 1, Version: 1})
}

func save(ctx context.Context, s *store.Store) error {
	return s.SaveConnection(ctx, &connection.Connection{ID: "se-1", AccountID: 1, Version: 1})
}

func change(ctx context.Context, s *store.Store) error {
	return s.ChangeConnection(ctx, &connection.Connection{ID: "se-1", AccountID: 1, AccountNumber: "2", Version: 1}, connection.Update{OldNumber: "1"}, effects.Effects{}, time.Unix(0, 0))
}

func unlink(ctx context.Context, s *store.Store) error {
	return s.Unlink(ctx, &connection.Connection{ID: "se-1", AccountID: 1, Version: 1}, effects.Effects{}, time.Unix(0, 0))
}

func follow(ctx context.Context, s *store.Store) error {
	return s.FollowConnection(ctx, &connection.Connection{ID: "se-1", AccountID: 1, Version: 1}, account.Account{ID: 1, Version: 1}, effects.Effects{}, time.Unix(0, 0))
}

func count(ctx context.Context, s *store.Store) error {
	return s.CountChecks(ctx, carrier.StarTrack, []health.Check{{AccountID: 1, Outcome: carrier.OutcomeTimeout}}, time.Unix(0, 0))
}

func breaker(ctx context.Context, s *store.Store) error {
	return s.SaveBreaker(ctx, &health.Breaker{Carrier: carrier.StarTrack, Version: 1})
}

func insert(ctx context.Context, s *store.Store) error {
	return s.InsertEvents(ctx, effects.Effects{Events: []effects.Event{{ID: "se-1", PartnerID: 1}}})
}

func take(ctx context.Context, s *store.Store) error {
	_, err := s.TakeCall(ctx, connection.Call{Allowance: connection.AccountAllowance(connection.UseLinking, 1), Limit: 10}, time.Minute, time.Unix(0, 0))
	return err
}

func cache(ctx context.Context, s *store.Store) error {
	return s.CacheTracking(ctx, 1, "se-1", []tracking.Cached{{Number: "n"}})
}

func load(ctx context.Context, s *store.Store) error {
	_, err := s.Load(ctx, 1, store.Want{})
	return err
}

func read(ctx context.Context, s *store.Store) error {
	_, err := s.Connection(ctx, 1, "se-1")
	return err
}

func update(ctx context.Context, s *store.Store) error {
	a := account.Account{ID: 1, PartnerID: 2, Version: 1}
	next := a
	next.CompanyName = "x"
	err := s.UpdateAccount(ctx, account.Update{Old: a, New: next}, effects.Effects{}, time.Unix(0, 0))
	return err
}

func disable(ctx context.Context, s *store.Store) error {
	err := s.SetAccountActive(ctx, account.Account{ID: 1, PartnerID: 2, Active: true, Version: 1}, false, false, effects.Effects{}, time.Unix(0, 0))
	return err
}

func remove(ctx context.Context, s *store.Store) error {
	a := account.Account{ID: 1, PartnerID: 2, Email: "a@b.example", EmailKey: "a@b.example", Version: 1}
	err := s.DeleteAccount(ctx, a, false, time.Unix(9, 0), effects.Effects{}, time.Unix(0, 0))
	return err
}

func restore(ctx context.Context, s *store.Store) error {
	a := account.Account{ID: 1, PartnerID: 2, Email: "a@b.example", EmailKey: "a@b.example", Version: 1, PurgeAt: time.Unix(9, 0)}
	err := s.RestoreAccount(ctx, a, false, effects.Effects{}, time.Unix(0, 0))
	return err
}

func addKey(ctx context.Context, s *store.Store) error {
	err := s.CreateKey(ctx, account.APIKey{PartnerID: 2, AccountID: 1, Hash: "h"}, effects.Effects{}, time.Unix(0, 0))
	return err
}

func rotate(ctx context.Context, s *store.Store) error {
	old, k := account.APIKey{PartnerID: 2, AccountID: 1, Hash: "h"}, account.APIKey{PartnerID: 2, AccountID: 1, Hash: "i"}
	err := s.RotateKey(ctx, old, k, time.Unix(9, 0), effects.Effects{}, time.Unix(0, 0))
	return err
}

func deleteKey(ctx context.Context, s *store.Store) error {
	return s.DeleteKey(ctx, account.APIKey{PartnerID: 2, AccountID: 1, Hash: "h"}, effects.Effects{}, time.Unix(0, 0))
}

func find(ctx context.Context, s *store.Store) error {
	_, err := s.AccountByExternalID(ctx, 1, "x", time.Unix(0, 0))
	return err
}

func list(ctx context.Context, s *store.Store) error {
	_, _, err := s.ListAccounts(ctx, 1, account.Filter{}, nil, 0, 1, time.Unix(0, 0))
	return err
}

// refusing returns the error of a transaction whose n-th part was refused, with the item
// as it is.
func refusing(n int, it map[string]types.AttributeValue) error {
	e := &types.TransactionCanceledException{Message: aws.String("Transaction cancelled")}
	for range n - 1 {
		e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String("None")})
	}
	e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String("ConditionalCheckFailed"), Item: it})
	return e
}

// newer returns the item of an account of another version.
func newer(active bool) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"version": &types.AttributeValueMemberN{Value: "7"}, "active": &types.AttributeValueMemberBOOL{Value: active},
	}
}

func TestErrorsThatEmulatorsNeverGive(t *testing.T) {
	t.Parallel()
	single := &types.TransactionConflictException{Message: aws.String("conflict")}
	expired := &smithy.GenericAPIError{Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}
	tests := []struct {
		name   string
		call   func(context.Context, *store.Store) error
		answer error
		kind   fault.Kind
		calls  int
	}{
		{"conflict that lasts", create, conflicted("None", "TransactionConflict", "None", "None"), fault.State, 6},
		{"throttled within", create, conflicted("ThrottlingError", "None", "None", "None"), fault.Overloaded, 6},
		{"throttled beside a conflict", create, conflicted("TransactionConflict", "ThrottlingError", "None", "None"), fault.Overloaded, 6},
		{"throughput exceeded within", create, conflicted("None", "None", "ProvisionedThroughputExceeded", "None"), fault.Overloaded, 6},
		{"a failed condition beside a conflict", create, conflicted("None", "None", "ConditionalCheckFailed", "TransactionConflict"), fault.State, 6},
		{"in progress", create, &types.TransactionInProgressException{}, fault.State, 6},
		{"validation within", create, conflicted("None", "ValidationError", "None", "None"), fault.Internal, 1},
		{"a failed condition beside a validation error", create, conflicted("ConditionalCheckFailed", "ValidationError", "None", "None"), fault.Internal, 1},
		{"cancelled without a reason", create, conflicted(), fault.Internal, 1},
		{"cancelled with reasons of None only", create, conflicted("None", "None", "None", "None"), fault.Internal, 1},
		{"more reasons than parts", create, conflicted("None", "None", "None", "None", "ConditionalCheckFailed"), fault.Internal, 1},
		{"token expired", create, expired, fault.Internal, 1},
		{"throttled after the SDK's retries", create, &types.ProvisionedThroughputExceededException{}, fault.Overloaded, 1},
		{"UseKey: conflict that lasts", use, single, fault.State, 6},
		{"UseKey: token expired", use, expired, fault.Internal, 1},
		{"UseKey: refused for no reason, again and again", use, &types.ConditionalCheckFailedException{
			Item: map[string]types.AttributeValue{"hash": &types.AttributeValueMemberS{Value: "h"}},
		}, fault.State, 6},
		{"ClaimIdempotency: conflict that lasts", claim, single, fault.State, 6},
		{"ClaimIdempotency: token expired", claim, expired, fault.Internal, 1},
		{"ReleaseIdempotency: conflict that lasts", release, single, fault.State, 6},
		{"ReleaseIdempotency: token expired", release, expired, fault.Internal, 1},
		{"ClaimCheck: conflict that lasts", check, single, fault.State, 6},
		{"ClaimCheck: token expired", check, expired, fault.Internal, 1},
		{"RecordCheck: conflict that lasts", record, single, fault.State, 6},
		{"RecordCheck: token expired", record, expired, fault.Internal, 1},
		{"RecordCheck with an entry: conflict that lasts", recordAll, conflicted("TransactionConflict"), fault.State, 6},
		{"RecordCheck with an entry: throttled within", recordAll, conflicted("None", "ThrottlingError"), fault.Overloaded, 6},
		{"RecordCheck with an entry: token expired", recordAll, expired, fault.Internal, 1},
		{"ClaimDue: conflict that lasts", due, single, fault.State, 6},
		{"ClaimDue: token expired", due, expired, fault.Internal, 1},
		{"ClaimDue: throttled after the SDK's retries", due, &types.ProvisionedThroughputExceededException{}, fault.Overloaded, 1},
		{"ClaimDue: an item with an attribute of another type", due, &types.ConditionalCheckFailedException{
			Item: map[string]types.AttributeValue{"version": &types.AttributeValueMemberS{Value: "x"}},
		}, fault.Internal, 1},
		{"FinishLink: conflict that lasts", finish, conflicted("None", "TransactionConflict"), fault.State, 6},
		{"FinishLink: a failed condition beside a conflict", finish, conflicted("ConditionalCheckFailed", "TransactionConflict"), fault.State, 6},
		{"FinishLink: token expired", finish, expired, fault.Internal, 1},
		{"DropLink: conflict that lasts", drop, conflicted("TransactionConflict"), fault.State, 6},
		{"DropLink: token expired", drop, expired, fault.Internal, 1},
		{"SaveConnection: conflict that lasts", save, single, fault.State, 6},
		{"SaveConnection: token expired", save, expired, fault.Internal, 1},
		{"ChangeConnection: conflict that lasts", change, conflicted("None", "TransactionConflict"), fault.State, 6},
		{"ChangeConnection: throttled within", change, conflicted("None", "None", "ProvisionedThroughputExceeded"), fault.Overloaded, 6},
		{"ChangeConnection: token expired", change, expired, fault.Internal, 1},
		{"ChangeConnection: its number is refused although it has no holders", change, refusing(2, nil), fault.Internal, 1},
		{"Unlink: conflict that lasts", unlink, conflicted("None", "TransactionConflict"), fault.State, 6},
		{"Unlink: token expired", unlink, expired, fault.Internal, 1},
		{"FollowConnection: conflict that lasts", follow, conflicted("TransactionConflict"), fault.State, 6},
		{"FollowConnection: token expired", follow, expired, fault.Internal, 1},
		{"FollowConnection: a row with an attribute of another type", follow, refusing(2, map[string]types.AttributeValue{"version": &types.AttributeValueMemberS{Value: "x"}}), fault.Internal, 1},
		{"CountChecks: conflict that lasts", count, single, fault.State, 6},
		{"CountChecks: token expired", count, expired, fault.Internal, 1},
		{"SaveBreaker: another version", breaker, refusing(1, nil), fault.State, 1},
		{"SaveBreaker: conflict that lasts", breaker, single, fault.State, 6},
		{"SaveBreaker: token expired", breaker, expired, fault.Internal, 1},
		{"InsertEvents: conflict that lasts", insert, conflicted("TransactionConflict"), fault.State, 6},
		{"InsertEvents: token expired", insert, expired, fault.Internal, 1},
		{"TakeCall: conflict that lasts", take, single, fault.State, 6},
		{"TakeCall: token expired", take, expired, fault.Internal, 1},
		{"TakeCall: an item with an attribute of another type", take, &types.ConditionalCheckFailedException{
			Item: map[string]types.AttributeValue{"call_10": &types.AttributeValueMemberS{Value: "x"}},
		}, fault.Internal, 1},
		{"CacheTracking: token expired", cache, expired, fault.Internal, 1},
		{"Load: token expired", load, expired, fault.Internal, 1},
		{"Connection: token expired", read, expired, fault.Internal, 1},
		{"UpdateAccount: token expired", update, expired, fault.Internal, 1},
		{"UpdateAccount: conflict that lasts", update, conflicted("TransactionConflict"), fault.State, 6},
		{"UpdateAccount: an item with an attribute of another type", update, refusing(1, map[string]types.AttributeValue{"version": &types.AttributeValueMemberS{Value: "x"}}), fault.Internal, 1},
		{"SetAccountActive: token expired", disable, expired, fault.Internal, 1},
		{"SetAccountActive: another version, again and again", disable, refusing(1, newer(true)), fault.State, 6},
		{"DeleteAccount: another version, again and again", remove, refusing(1, newer(true)), fault.State, 6},
		{"DeleteAccount: another account holds its email", remove, refusing(2, newer(true)), fault.Internal, 1},
		{"RestoreAccount: another account holds its email", restore, refusing(2, newer(true)), fault.NotFound, 1},
		{"RestoreAccount: token expired", restore, expired, fault.Internal, 1},
		{"CreateKey: token expired", addKey, expired, fault.Internal, 1},
		{"CreateKey: conflict that lasts", addKey, conflicted("None", "TransactionConflict"), fault.State, 6},
		{"RotateKey: a key with an attribute of another type", rotate, refusing(3, map[string]types.AttributeValue{"valid_until": &types.AttributeValueMemberS{Value: "x"}}), fault.Internal, 1},
		{"DeleteKey: conflict that lasts", deleteKey, conflicted("None", "TransactionConflict"), fault.State, 6},
		{"DeleteKey: token expired", deleteKey, expired, fault.Internal, 1},
		{"AccountByExternalID: token expired", find, expired, fault.Internal, 1},
		{"ListAccounts: token expired", list, expired, fault.Internal, 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			spy := &calls{fail: func(string, any) error { return tc.answer }}
			waits := 0
			s := store.New(spy, table, kit.Options{Random: zeros{}, Sleep: func(context.Context, time.Duration) error { waits++; return nil }})
			err := tc.call(t.Context(), s)
			if err == nil || !fault.Is(err, tc.kind) {
				t.Fatalf("error %v, want kind %v", err, tc.kind)
			}
			if p := fault.Of(err)[0]; tc.kind == fault.State && (p.RetryAfter != time.Second || p.Message == "") {
				t.Errorf("State with RetryAfter %v and message %q, want 1s and a message", p.RetryAfter, p.Message)
			}
			if p := fault.Of(err)[0]; tc.kind == fault.Overloaded && (p.RetryAfter <= 0 || p.Message == "") {
				t.Errorf("Overloaded with RetryAfter %v and message %q, want both", p.RetryAfter, p.Message)
			}
			if got := len(spy.taken()); got != tc.calls {
				t.Errorf("%d calls, want %d", got, tc.calls)
			}
		})
	}
}

func TestConflictThatEnds(t *testing.T) {
	t.Parallel()
	for name, random := range map[string]io.Reader{"short waits": zeros{}, "long waits": ones{}, "random waits": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures := 5
			var tokens []string
			spy := &calls{fail: func(_ string, input any) error {
				in, _ := input.(*dynamodb.TransactWriteItemsInput)
				tokens = append(tokens, aws.ToString(in.ClientRequestToken))
				if failures--; failures >= 0 {
					return conflicted("TransactionConflict", "None")
				}
				return errDone
			}}
			ceiling := 25 * time.Millisecond
			s := store.New(spy, table, kit.Options{Random: random, Sleep: func(_ context.Context, d time.Duration) error {
				if d < 0 || d >= ceiling {
					t.Errorf("waited %v, want less than %v", d, ceiling)
				}
				ceiling *= 2
				return nil
			}})
			if err := create(t.Context(), s); !errors.Is(err, errDone) {
				t.Fatalf("error %v, want the sixth answer", err)
			}
			for _, token := range tokens {
				if len(token) != 32 || token != tokens[0] {
					t.Errorf("tokens %q, want one of 32 characters", tokens)
				}
			}
		})
	}
}

// hook is a webhook.
var hook = webhook.Ref{Owner: webhook.Owner{PartnerID: 1}, ID: "se-1"} // never changes

// everyMethod has a call of each method of the Store.
var everyMethod = map[string]func(context.Context, *store.Store) error{
	"UseKey": use, "ClaimIdempotency": claim, "ReleaseIdempotency": release, "ClaimCheck": check, "ClaimDue": due, "RecordCheck": recordAll,
	"FinishLink": finish, "DropLink": drop, "SaveConnection": save, "ChangeConnection": change, "Unlink": unlink, "FollowConnection": follow,
	"CountChecks": count, "SaveBreaker": breaker, "TakeCall": take, "CacheTracking": cache, "Load": load, "Connection": read,
	"UpdateAccount": update, "SetAccountActive": disable, "DeleteAccount": remove, "RestoreAccount": restore, "CreateAccount": create,
	"CreateKey": addKey, "RotateKey": rotate, "DeleteKey": deleteKey, "AccountByExternalID": find, "ListAccounts": list, "InsertEvents": insert,
	"BeginLink": func(ctx context.Context, s *store.Store) error {
		return s.BeginLink(ctx, &connection.Connection{ID: "se-1", AccountID: 1}, connection.LinkOptions{})
	},
	"RegisterParcels": func(ctx context.Context, s *store.Store) error {
		_, err := s.RegisterParcels(ctx, []parcel.Parcel{{AccountID: 1, Number: "n"}}, parcel.Round{AccountID: 1}, false, 1, time.Unix(0, 0))
		return err
	},
	"StopParcel": func(ctx context.Context, s *store.Store) error { return s.StopParcel(ctx, 1, carrier.StarTrack, "n") },
	"ListParcels": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.ListParcels(ctx, parcel.Listing{AccountID: 1, Limit: 1}, time.Unix(0, 0))
		return err
	},
	"DueRounds": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.DueRounds(ctx, connection.SandboxLane, time.Unix(0, 0), 1)
		return err
	},
	"ClaimRound": func(ctx context.Context, s *store.Store) error {
		_, err := s.ClaimRound(ctx, connection.Due{AccountID: 1, ConnectionID: "se-1"}, time.Unix(1, 0), time.Unix(0, 0), health.Timing{})
		return err
	},
	"RoundParcels": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.RoundParcels(ctx, parcel.Round{AccountID: 1}, 1)
		return err
	},
	"RecordLooks": func(ctx context.Context, s *store.Store) error {
		return s.RecordLooks(ctx, []parcel.Look{{Parcel: parcel.Parcel{AccountID: 1}}}, effects.By{}, time.Unix(0, 0))
	},
	"EndRound": func(ctx context.Context, s *store.Store) error {
		return s.EndRound(ctx, parcel.Round{AccountID: 1}, effects.Effects{}, time.Time{}, func(r parcel.Round) (parcel.Round, bool) { return r, true })
	},
	"AddPending": func(ctx context.Context, s *store.Store) error {
		return s.AddPending(ctx, []webhook.Pending{{Ref: hook, EventID: "se-2", RequestedAt: time.Unix(1, 0)}})
	},
	"DropPending": func(ctx context.Context, s *store.Store) error {
		return s.DropPending(ctx, webhook.Pending{Ref: hook, EventID: "se-2", RequestedAt: time.Unix(1, 0)})
	},
	"ListPending": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.ListPending(ctx, hook, 1, time.Unix(0, 0))
		return err
	},
	"LoadPending": func(ctx context.Context, s *store.Store) error {
		_, err := s.LoadPending(ctx, webhook.Pending{Ref: hook, EventID: "se-2"}, time.Unix(0, 0))
		return err
	},
	"SaveDelivery": func(ctx context.Context, s *store.Store) error {
		return s.SaveDelivery(ctx, webhook.Delivery{Ref: hook, EventID: "se-2", RequestedAt: time.Unix(1, 0)})
	},
	"Delivery": func(ctx context.Context, s *store.Store) error {
		_, err := s.Delivery(ctx, hook, "se-2")
		return err
	},
	"ListDeliveries": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.ListDeliveries(ctx, hook, webhook.DeliveryListing{Limit: 1})
		return err
	},
	"MarkDue": func(ctx context.Context, s *store.Store) error {
		return s.MarkDue(ctx, []webhook.Ref{hook}, time.Unix(0, 0))
	},
	"ClaimRun": func(ctx context.Context, s *store.Store) error {
		_, err := s.ClaimRun(ctx, hook, time.Unix(1, 0), time.Unix(0, 0))
		return err
	},
	"EndRun": func(ctx context.Context, s *store.Store) error {
		_, err := s.EndRun(ctx, &webhook.Run{Ref: hook}, webhook.End{}, time.Unix(0, 0))
		return err
	},
	"DueWebhooks": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.DueWebhooks(ctx, time.Unix(0, 0), 1)
		return err
	},
	"ListEvents": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.ListEvents(ctx, effects.Listing{PartnerID: 1, Limit: 1})
		return err
	},
	"Event": func(ctx context.Context, s *store.Store) error {
		_, err := s.Event(ctx, 1, 1, "se-1")
		return err
	},
	"OldestEvents": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.OldestEvents(ctx, effects.Listing{PartnerID: 1, Limit: 1})
		return err
	},
	"Webhooks": func(ctx context.Context, s *store.Store) error {
		_, err := s.Webhooks(ctx, []webhook.Owner{{PartnerID: 1}}, time.Unix(0, 0))
		return err
	},
	"WebhooksOf": func(ctx context.Context, s *store.Store) error {
		_, err := s.WebhooksOf(ctx, webhook.Owner{PartnerID: 1}, time.Unix(0, 0))
		return err
	},
	"SaveWebhooks": func(ctx context.Context, s *store.Store) error {
		return s.SaveWebhooks(ctx, &webhook.List{Owner: webhook.Owner{PartnerID: 1}}, effects.Effects{}, time.Unix(0, 0))
	},
	"SentMail": func(ctx context.Context, s *store.Store) error {
		_, err := s.SentMail(ctx, 1, "", "m-1", time.Unix(0, 0))
		return err
	},
	"RecordMail": func(ctx context.Context, s *store.Store) error {
		return s.RecordMail(ctx, 1, "", mail.Sent{ID: "m-1", At: time.Unix(0, 0)})
	},
	"Settings": func(ctx context.Context, s *store.Store) error {
		_, err := s.Settings(ctx, 1)
		return err
	},
	"SaveSettings": func(ctx context.Context, s *store.Store) error {
		return s.SaveSettings(ctx, 1, account.Settings{}, account.Settings{Version: 1}, effects.Effects{}, time.Unix(0, 0))
	},
	"PartnerWithSettings": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.PartnerWithSettings(ctx, 1)
		return err
	},
	"RecordEffects": func(ctx context.Context, s *store.Store) error {
		return s.RecordEffects(ctx, effects.Effects{Events: []effects.Event{{ID: "se-1"}}}, time.Unix(0, 0))
	},
	"SealedBefore": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.SealedBefore(ctx, time.Unix(1, 0), 1, time.Unix(0, 0))
		return err
	},
	"ExpiringKeys": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.ExpiringKeys(ctx, time.Unix(0, 0), 1)
		return err
	},
	"SaveKeyWarning": func(ctx context.Context, s *store.Store) error {
		return s.SaveKeyWarning(ctx, account.APIKey{PartnerID: 2, AccountID: 1, Hash: "h"}, time.Time{}, effects.Effects{}, time.Unix(0, 0))
	},
	"ExternalIDs": func(ctx context.Context, s *store.Store) error {
		_, err := s.ExternalIDs(ctx, []int64{1}, time.Unix(0, 0))
		return err
	},
	"CreatePartner": func(ctx context.Context, s *store.Store) error {
		return s.CreatePartner(ctx, account.Partner{ID: 1}, account.APIKey{PartnerID: 1, Hash: "h"}, effects.Effects{}, time.Unix(0, 0))
	},
	"Partner": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.Partner(ctx, 1)
		return err
	},
	"ListPartners": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.ListPartners(ctx, 0, 1)
		return err
	},
	"ChangePartner": func(ctx context.Context, s *store.Store) error {
		return s.ChangePartner(ctx, account.PartnerChange{Old: account.Partner{ID: 1}, New: account.Partner{ID: 1, Version: 1}}, effects.Effects{}, time.Unix(0, 0))
	},
	"EndFollow": func(ctx context.Context, s *store.Store) error {
		return s.EndFollow(ctx, account.Account{ID: 1, Version: 1})
	},
	"EndPurge": func(ctx context.Context, s *store.Store) error { return s.EndPurge(ctx, 1, time.Unix(9, 0)) },
	"Idempotency": func(ctx context.Context, s *store.Store) error {
		_, err := s.Idempotency(ctx, effects.Record{Scope: "s", Key: "k"}, time.Unix(0, 0))
		return err
	},
	"Account": func(ctx context.Context, s *store.Store) error {
		_, err := s.Account(ctx, 1, time.Unix(0, 0))
		return err
	},
	"Snapshot": func(ctx context.Context, s *store.Store) error {
		_, err := s.Snapshot(ctx, 1, "se-1")
		return err
	},
	"AllConnections": func(ctx context.Context, s *store.Store) error {
		_, err := s.AllConnections(ctx, 1)
		return err
	},
	"ListConnections": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.ListConnections(ctx, 1, true)
		return err
	},
	"ListKeys": func(ctx context.Context, s *store.Store) error {
		_, err := s.ListKeys(ctx, 1)
		return err
	},
	"RecentChecks": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.RecentChecks(ctx, 1, "se-1", time.Unix(0, 0))
		return err
	},
	"History": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.History(ctx, 1, "se-1", nil, 0, 1, time.Unix(0, 0))
		return err
	},
	"CachedTracking": func(ctx context.Context, s *store.Store) error {
		_, err := s.CachedTracking(ctx, 1, "se-1", []string{"n"}, time.Unix(0, 0))
		return err
	},
	"Tallies": func(ctx context.Context, s *store.Store) error {
		_, err := s.Tallies(ctx, carrier.StarTrack, time.Unix(0, 0))
		return err
	},
	"Visit": func(ctx context.Context, s *store.Store) error {
		_, err := s.Visit(ctx, signin.Ref{AccountID: 1, Hash: "h"}, 1, "se-1", time.Unix(0, 0))
		return err
	},
	"Seen": func(ctx context.Context, s *store.Store) error {
		_, err := s.Seen(ctx, signin.Ref{AccountID: 1, Hash: "h"}, time.Unix(0, 0))
		return err
	},
	"EndSession": func(ctx context.Context, s *store.Store) error {
		return s.EndSession(ctx, signin.Ref{AccountID: 1, Hash: "h"})
	},
	"SessionsOf": func(ctx context.Context, s *store.Store) error {
		_, err := s.SessionsOf(ctx, 1)
		return err
	},
	"FindByEmail": func(ctx context.Context, s *store.Store) error {
		_, err := s.FindByEmail(ctx, "jo@example.com", time.Unix(0, 0))
		return err
	},
	"LoginOf": func(ctx context.Context, s *store.Store) error {
		_, err := s.LoginOf(ctx, 1, time.Unix(0, 0))
		return err
	},
	"Token": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.Token(ctx, "h", 1, time.Unix(0, 0))
		return err
	},
	"IssueTokens": func(ctx context.Context, s *store.Store) error { return s.IssueTokens(ctx, signin.Token{Hash: "h"}) },
	"ChangeLogin": func(ctx context.Context, s *store.Store) error {
		return s.ChangeLogin(ctx, signin.Change{Advance: true}, effects.Effects{}, time.Unix(0, 0))
	},
	"TakeAttempt": func(ctx context.Context, s *store.Store) error {
		_, err := s.TakeAttempt(ctx, signin.Throttle{Use: signin.UsePassword}, time.Unix(0, 0))
		return err
	},
	"ReturnAttempt": func(ctx context.Context, s *store.Store) error {
		return s.ReturnAttempt(ctx, signin.Throttle{Use: signin.UsePassword}, time.Unix(0, 0))
	},
	"ForgetAttempts": func(ctx context.Context, s *store.Store) error {
		return s.ForgetAttempts(ctx, signin.Throttle{Use: signin.UsePassword}, time.Unix(0, 0))
	},
	"Breakers": func(ctx context.Context, s *store.Store) error {
		_, err := s.Breakers(ctx)
		return err
	},
	"Due": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.Due(ctx, connection.SandboxLane, time.Unix(0, 0), 1)
		return err
	},
	"Unfinished": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.Unfinished(ctx, time.Unix(0, 0), 1)
		return err
	},
}

// TestThrottled checks that every method returns fault.Overloaded when any of its calls
// is throttled, whatever the code.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for method := range reflect.TypeFor[*store.Store]().Methods() {
		call, ok := everyMethod[method.Name]
		if !ok {
			t.Errorf("everyMethod has no call of %s", method.Name)
			continue
		}
		for _, code := range []string{
			"ThrottlingException", "ThrottlingError", "ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded", "RequestLimitExceeded",
		} {
			for name, answer := range map[string]error{"call": &smithy.GenericAPIError{Code: code, Message: "Rate exceeded"}, "transaction": conflicted("None", code)} {
				t.Run(method.Name+"/"+code+" of a "+name, func(t *testing.T) {
					t.Parallel()
					transactions := 0
					spy := &calls{fail: func(operation string, _ any) error {
						if operation == "TransactWriteItems" {
							transactions++
						} else if name == "transaction" {
							return errDone // the method makes no transaction
						}
						return answer
					}}
					s := store.New(spy, table, kit.Options{Random: zeros{}, Sleep: func(context.Context, time.Duration) error { return nil }})
					var err error
					counted := metricstest.Of(t, func(ctx context.Context) { err = call(ctx, s) })
					if name == "transaction" && transactions == 0 {
						return
					}
					if n := counted["Throttles Service=dynamodb"]; len(n) != 1 || n[0] < 1 || !slices.Equal(n, counted["Throttles"]) {
						t.Errorf("metrics = %v, want the throttled call", counted)
					}
					if p := fault.Of(err); len(p) == 0 || p[0].Kind != fault.Overloaded || p[0].RetryAfter < time.Second || p[0].Message == "" {
						t.Errorf("error %v, want one problem, Overloaded, with RetryAfter", err)
					}
				})
			}
		}
	}
}

var errDone = errors.New("done")

func TestTokensDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	spy := &calls{fail: func(_ string, input any) error {
		in, _ := input.(*dynamodb.TransactWriteItemsInput)
		seen[aws.ToString(in.ClientRequestToken)] = true
		return errDone
	}}
	s := store.New(spy, table, kit.Options{})
	for range 3 {
		_ = create(t.Context(), s)
	}
	if len(seen) != 3 {
		t.Errorf("%d tokens for 3 requests", len(seen))
	}
}

func TestRetryHeedsTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, retryHeedsTheDeadline)
}

func retryHeedsTheDeadline(t *testing.T) {
	t.Helper()
	spy := &calls{fail: func(string, any) error { return conflicted("TransactionConflict") }}
	s := store.New(spy, table, kit.Options{Random: ones{}, Sleep: func(context.Context, time.Duration) error {
		t.Error("slept past the deadline")
		return nil
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := create(ctx, s)
	if !fault.Is(err, fault.State) {
		t.Errorf("error %v, want State", err)
	}
	if got := len(spy.taken()); got != 1 {
		t.Errorf("%d calls, want 1", got)
	}
}

func TestSleepEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	spy := &calls{fail: func(string, any) error { cancel(); return conflicted("TransactionConflict") }}
	if err := create(ctx, store.New(spy, table, kit.Options{Random: ones{}})); !fault.Is(err, fault.State) {
		t.Errorf("error %v, want State", err)
	}
	if got := len(spy.taken()); got != 1 {
		t.Errorf("%d calls, want 1", got)
	}
}

func TestNoRandomness(t *testing.T) {
	t.Parallel()
	spy := &calls{}
	if err := create(t.Context(), store.New(spy, table, kit.Options{Random: strings.NewReader("")})); !fault.Is(err, fault.Internal) || err == nil {
		t.Errorf("error %v, want Internal", err)
	}
	if got := spy.taken(); got != nil {
		t.Errorf("calls %v, want none", got)
	}
}

// leaving returns a table in memory that, a number of times, leaves so many items of a
// batch for another call.
func leaving(left, times int) (table *dynamotest.Table, calls *int) {
	table, calls = dynamotest.New(), new(int)
	table.Trouble = func(operation string, _ any) dynamotest.Trouble {
		if !strings.HasPrefix(operation, "Batch") {
			return dynamotest.Trouble{}
		}
		if *calls++; *calls > times {
			return dynamotest.Trouble{}
		}
		return dynamotest.Trouble{Left: left}
	}
	return table, calls
}

func TestLoadReadsUnprocessedKeys(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		times int
		calls int
		ok    bool
	}{
		{"left every time", 99, 6, false},
		{"left twice", 2, 3, true},
		{"never left", 0, 1, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			api, calls := leaving(1, tc.times)
			s := store.New(api, table, kit.Options{Sleep: func(context.Context, time.Duration) error { return nil }})
			snap, err := connection.NewSnapshot([]byte("{}"), time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			conn := connection.Connection{ID: "se-1", AccountID: 1}
			active := account.NewAccount{Account: account.Account{ID: 1, PartnerID: 2, Active: true}, Key: account.APIKey{PartnerID: 2, AccountID: 1, Hash: "h"}}
			for _, err := range []error{
				s.CreateAccount(t.Context(), active, effects.Effects{}, time.Unix(0, 0)), s.BeginLink(t.Context(), &conn, connection.LinkOptions{}),
				s.FinishLink(t.Context(), &conn, nil, &snap, effects.Effects{}, time.Unix(0, 0)),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			l, err := s.Load(t.Context(), 1, store.Want{ConnectionID: "se-1", Snapshot: true})
			if *calls != tc.calls {
				t.Errorf("%d calls, want %d", *calls, tc.calls)
			}
			if (err == nil) != tc.ok || err != nil && !fault.Is(err, fault.Overloaded) {
				t.Fatalf("error %v, want none: %v", err, tc.ok)
			}
			if tc.ok && (l.Account == nil || l.Connection == nil || l.Snapshot == nil) {
				t.Errorf("Load = %+v, want all of it", l)
			}
		})
	}
}

// stored answers every read with one item.
type stored struct {
	kit.API
	item map[string]types.AttributeValue
}

func (s stored) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	it := maps.Clone(s.item)
	maps.Copy(it, in.RequestItems[table].Keys[0])
	return &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{table: {it}}}, nil
}

func TestAttributesOfAnotherType(t *testing.T) {
	t.Parallel()
	text, number := &types.AttributeValueMemberS{Value: "canary"}, &types.AttributeValueMemberN{Value: "1.5"}
	for name, value := range map[string]types.AttributeValue{
		"version": text, "checks": number, "nickname": number, "metadata": text, "created_at": text, "contract_expired": text,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := read(t.Context(), store.New(stored{item: map[string]types.AttributeValue{name: value}}, table, kit.Options{}))
			if err == nil || !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v, want an internal error that names the attribute, not its value", err)
			}
		})
	}
}

func TestCacheTrackingGivesUp(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		times    int
		deadline time.Duration
		calls    int
	}{
		{"never written", 99, time.Hour, 6},
		{"never written, no time left", 99, time.Millisecond, 1},
		{"written by the third call", 2, time.Hour, 3},
		{"written at once", 0, time.Hour, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api, calls := leaving(1, tc.times)
				s := store.New(api, table, kit.Options{Random: ones{}, Sleep: func(context.Context, time.Duration) error { return nil }})
				ctx, cancel := context.WithTimeout(t.Context(), tc.deadline)
				defer cancel()
				if err := cache(ctx, s); err != nil {
					t.Errorf("error %v, want none", err)
				}
				if *calls != tc.calls {
					t.Errorf("%d calls, want %d", *calls, tc.calls)
				}
				if kept := len(api.Items()) == 1; kept != (tc.calls > tc.times) {
					t.Errorf("kept: %t after %d calls", kept, *calls)
				}
			})
		})
	}
}

// TestLostAnswer: after a claim whose answer was lost, the same claim succeeds, and
// another one is refused.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	api := dynamotest.New()
	lost := errors.New("connection reset")
	api.Trouble = func(string, any) dynamotest.Trouble { return dynamotest.Trouble{Lost: lost} }
	s := store.New(api, table, kit.Options{})
	rec := effects.Record{Scope: "s", Key: "k", ClaimID: "ours", LeaseUntil: time.Unix(100, 0), ExpiresAt: time.Unix(1000, 0)}
	if err := s.ClaimIdempotency(t.Context(), rec, time.Unix(0, 0)); !errors.Is(err, lost) {
		t.Fatalf("ClaimIdempotency = %v, want the lost answer", err)
	}
	api.Trouble = nil
	if err := s.ClaimIdempotency(t.Context(), rec, time.Unix(0, 0)); err != nil {
		t.Errorf("ClaimIdempotency, again = %v, want none", err)
	}
	rec.ClaimID = "another's"
	var replay *effects.Replay
	if err := s.ClaimIdempotency(t.Context(), rec, time.Unix(0, 0)); !errors.As(err, &replay) || replay.Record.ClaimID != "ours" {
		t.Errorf("ClaimIdempotency of another claim = %v, want the record of the first", err)
	}
}
