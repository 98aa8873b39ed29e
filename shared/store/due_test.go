package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/store"
)

// shards is an index: the due keys of each partition, in order.
type shards struct {
	store.API
	keys map[string][]string

	mu          sync.Mutex
	read, calls int
}

func textOf(it map[string]types.AttributeValue, name string) string {
	s, _ := it[name].(*types.AttributeValueMemberS)
	return s.Value
}

func (s *shards) Query(_ context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	after := ""
	if in.ExclusiveStartKey != nil {
		after = textOf(in.ExclusiveStartKey, "due_key")
	}
	out := &dynamodb.QueryOutput{}
	pk := textOf(in.ExpressionAttributeValues, ":pk")
	for _, k := range s.keys[pk] {
		if k <= after || k >= textOf(in.ExpressionAttributeValues, ":until") {
			continue
		}
		s.read++
		out.Items = append(out.Items, map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "ACCOUNT#1"}, "sk": &types.AttributeValueMemberS{Value: "CARRIER#se-" + k[16:]},
			"due_pk": &types.AttributeValueMemberS{Value: pk}, "due_key": &types.AttributeValueMemberS{Value: k},
		})
		if len(out.Items) == int(aws.ToInt32(in.Limit)) {
			out.LastEvaluatedKey = out.Items[len(out.Items)-1]
			break
		}
	}
	return out, nil
}

// TestDueReadsLittle: whatever the shards hold, Due returns the earliest of all,
// and reads little more than that.
func TestDueReadsLittle(t *testing.T) {
	t.Parallel()
	const n, partitions = 4000, 8
	for _, tc := range []struct {
		name  string
		shard func(r *rand.Rand, i int) int // where the i-th to be due is
		over  float64                       // × what is returned may be read, where that is much
	}{
		{"spread", func(r *rand.Rand, _ int) int { return r.IntN(partitions) }, 1.15},
		{"all in one", func(*rand.Rand, int) int { return 3 }, 1.15},
		{"one after the other", func(_ *rand.Rand, i int) int { return i * partitions / n }, 3},
		{"most in one", func(r *rand.Rand, _ int) int { return max(r.IntN(8*partitions)-7*partitions, 0) }, 1.5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(3, 4))
			index := &shards{keys: map[string][]string{}}
			now := time.UnixMilli(5_000_000)
			var all []string
			for i := range n {
				k := fmt.Sprintf("%015d#%016x", 1000*i, i)
				pk := fmt.Sprintf("REFRESH#australia_post#%d", tc.shard(r, i))
				index.keys[pk] = append(index.keys[pk], k)
				all = append(all, k)
			}
			s := store.New(index, table, store.Options{})
			for _, limit := range []int{1, 5, 8, 9, 100, 999, 1000, 2000, n - 1, n, n + 1, 3 * n} {
				index.read, index.calls = 0, 0
				found, err := s.Due(t.Context(), carrier.Lane(carrier.AustraliaPost), now, limit)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, d := range found {
					got = append(got, fmt.Sprintf("%015d#%s", d.DueAt.UnixMilli(), d.CredentialID))
				}
				if diff := cmp.Diff(all[:min(limit, n)], got); diff != "" {
					t.Errorf("limit %d (-want +got):\n%s", limit, diff)
				}
				if over := float64(index.read) / float64(len(got)); limit >= 900 && over > tc.over {
					t.Errorf("limit %d: read %d in %d calls, %.2f × what is returned, want at most %.2f ×", limit, index.read, index.calls, over, tc.over)
				}
				if index.calls > 20*partitions {
					t.Errorf("limit %d: %d calls", limit, index.calls)
				}
			}
		})
	}
}

func TestDueOfAnotherForm(t *testing.T) {
	t.Parallel()
	good := map[string]string{"pk": "ACCOUNT#1", "sk": "CARRIER#se-1", "due_key": "000000000000001#c"}
	for name, value := range map[string]string{"pk": "PARTNER#1", "sk": "KEY#canary", "due_key": "canary"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			it := map[string]types.AttributeValue{}
			for k, v := range good {
				it[k] = &types.AttributeValueMemberS{Value: v}
			}
			it[name] = &types.AttributeValueMemberS{Value: value}
			s := store.New(answering{items: []map[string]types.AttributeValue{it}}, table, store.Options{})
			_, err := s.Due(t.Context(), carrier.SandboxLane, time.Unix(9, 0), 9)
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("Due = %v, want an error without the value", err)
			}
			_, err = s.Unfinished(t.Context(), time.Unix(9, 0), 9)
			if (err == nil) != (name == "due_key") {
				t.Errorf("Unfinished = %v", err)
			}
		})
	}
}

// answering answers every query with some items.
type answering struct {
	store.API
	items []map[string]types.AttributeValue
}

func (a answering) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return &dynamodb.QueryOutput{Items: slices.Clone(a.items)}, nil
}
