package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/store"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/kit"
)

func textOf(it map[string]types.AttributeValue, name string) string {
	s, _ := it[name].(*types.AttributeValueMemberS)
	return s.Value
}

// metered counts the queries of a table and the items that they read.
type metered struct {
	*dynamotest.Table
	read, calls atomic.Int64
}

func (m *metered) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	out, err := m.Table.Query(ctx, in, o...)
	m.calls.Add(1)
	if err == nil {
		m.read.Add(int64(out.Count))
	}
	return out, err
}

// schedule puts entries into partitions of by_due, by these keys.
func (m *metered) schedule(t *testing.T, keys map[string][]string) {
	t.Helper()
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	for pk, list := range keys {
		for chunk := range slices.Chunk(list, 25) {
			var puts []types.WriteRequest
			for _, k := range chunk {
				puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
					"pk": text("ACCOUNT#1"), "sk": text("CARRIER#se-" + k[16:]), "due_pk": text(pk), "due_key": text(k),
				}}})
			}
			if _, err := m.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: puts}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDueReadsLittle checks that Due returns the earliest entries, however they are spread
// over the shards, and reads few others.
func TestDueReadsLittle(t *testing.T) {
	t.Parallel()
	const n, partitions = 4000, 8
	for _, tc := range []struct {
		name  string
		shard func(r *rand.Rand, i int) int // of the i-th entry
		over  float64                       // how many times the returned entries may be read, if they are many
	}{
		{"spread", func(r *rand.Rand, _ int) int { return r.IntN(partitions) }, 1.15},
		{"all in one", func(*rand.Rand, int) int { return 3 }, 1.15},
		{"one after the other", func(_ *rand.Rand, i int) int { return i * partitions / n }, 3},
		{"most in one", func(r *rand.Rand, _ int) int { return max(r.IntN(8*partitions)-7*partitions, 0) }, 1.5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(3, 4))
			index, keys := &metered{Table: dynamotest.New()}, map[string][]string{}
			now := time.UnixMilli(5_000_000)
			var all []string
			for i := range n {
				k := fmt.Sprintf("%015d#%016x", 1000*i, i)
				pk := fmt.Sprintf("REFRESH#australia_post#%d", tc.shard(r, i))
				keys[pk] = append(keys[pk], k)
				all = append(all, k)
			}
			index.schedule(t, keys)
			s := store.New(index, table, kit.Options{})
			for _, limit := range []int{1, 5, 8, 9, 100, 999, 1000, 2000, n - 1, n, n + 1, 3 * n} {
				index.read.Store(0)
				index.calls.Store(0)
				found, _, err := s.Due(t.Context(), connection.Lane(carrier.AustraliaPost), now, limit)
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
				if over := float64(index.read.Load()) / float64(len(got)); limit >= 900 && over > tc.over {
					t.Errorf("limit %d: read %d in %d calls, %.2f × the returned entries, want at most %.2f ×", limit, index.read.Load(), index.calls.Load(), over, tc.over)
				}
				if index.calls.Load() > 20*partitions {
					t.Errorf("limit %d: %d calls", limit, index.calls.Load())
				}
			}
		})
	}
}

// TestMalformedEntries checks that Due and Unfinished skip and count entries that cannot be
// read, on any page, and return all others.
func TestMalformedEntries(t *testing.T) {
	t.Parallel()
	entry := func(pk, sk, due string) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk}, "due_key": &types.AttributeValueMemberS{Value: due},
		}
	}
	const cred = "#00c0ffee00c0ffee"
	for name, tc := range map[string]struct {
		entry      map[string]types.AttributeValue
		unreadable bool // as an entry of REFRESH
		repair     int  // how often it is found as an entry of REPAIR and of PREVIOUS; 0: it cannot be read
	}{
		"a partner's":           {entry("PARTNER#1", "CARRIER#se-1", "000000000000001"+cred), true, 0},
		"an account, no id":     {entry("ACCOUNT#", "CARRIER#se-1", "000000000000001"+cred), true, 0},
		"a key":                 {entry("ACCOUNT#1", "KEY#canary", "000000000000001"+cred), true, 0},
		"an account":            {entry("ACCOUNT#1", "ACCOUNT", "000000000000001"+cred), true, 1},
		"a connection, no id":   {entry("ACCOUNT#1", "CARRIER#", "000000000000001"+cred), true, 0},
		"an id of another kind": {entry("ACCOUNT#1", "CARRIER#canary", "000000000000001"+cred), true, 6},
		"no time":               {entry("ACCOUNT#1", "CARRIER#se-1", "000 canary"+cred), true, 6},
		"no credential":         {entry("ACCOUNT#1", "CARRIER#se-1", "000000000000001"), true, 6},
		"a partner of words":    {entry("ACCOUNT#1", "CARRIER#se-1", "000000000000001"+cred+"#canary"), true, 6},
		"of version 0.3":        {entry("ACCOUNT#1", "CARRIER#se-1", "000000000000001"+cred), false, 6},
		"of now":                {entry("ACCOUNT#1", "CARRIER#se-1", "000000000000001"+cred+"#7"), false, 6},
		"not a text": {map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "ACCOUNT#1"}, "sk": &types.AttributeValueMemberN{Value: "1"}, "due_key": &types.AttributeValueMemberS{Value: "1"},
		}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := func(n int) map[string]types.AttributeValue {
				return entry("ACCOUNT#1", fmt.Sprint("CARRIER#se-", n), fmt.Sprintf("%015d%s#7", n, cred))
			}
			pages := answering{pages: [][]map[string]types.AttributeValue{{tc.entry, tc.entry}, {good(10), tc.entry}, {good(11)}}}
			s := store.New(pages, table, kit.Options{})
			found, malformed, err := s.Due(t.Context(), connection.SandboxLane, time.Unix(9, 0), 100)
			shards := 4
			want, bad := 5, 0
			if tc.unreadable {
				want, bad = 2, 3
			}
			if err != nil || len(found) != want*shards || malformed != bad*shards {
				t.Errorf("Due = %d found, %d malformed, %v, want %d and %d", len(found), malformed, err, want*shards, bad*shards)
			}
			if last := found[len(found)-1]; last.ConnectionID != "se-11" || last.PartnerID != 7 || last.CredentialID != cred[1:] {
				t.Errorf("the last entry is %+v", last)
			}
			unfinished, malformed, err := s.Unfinished(t.Context(), time.Unix(9, 0), 100)
			want, bad = 2*2+tc.repair, 0
			if tc.repair == 0 {
				bad = 2 * 3
			}
			if err != nil || len(unfinished) != want || malformed != bad {
				t.Errorf("Unfinished = %d found, %d malformed, %v, want %d and %d", len(unfinished), malformed, err, want, bad)
			}
		})
	}
}

// answering answers every query with the same items, page by page.
type answering struct {
	kit.API
	pages [][]map[string]types.AttributeValue
}

func (a answering) Query(_ context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	n := 0
	if at, ok := in.ExclusiveStartKey["page"].(*types.AttributeValueMemberN); ok {
		n, _ = strconv.Atoi(at.Value)
	}
	out := &dynamodb.QueryOutput{Items: slices.Clone(a.pages[n])}
	if n+1 < len(a.pages) {
		out.LastEvaluatedKey = map[string]types.AttributeValue{"page": &types.AttributeValueMemberN{Value: strconv.Itoa(n + 1)}}
	}
	return out, nil
}
