package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
)

// BenchmarkWalk walks all accounts of a partner page by page, each after the
// last one's position, and compares the read units that DynamoDB Local counts
// with those of one query without pages. WALK_ACCOUNTS sets the number of accounts;
// the default is 100,000.
func BenchmarkWalk(b *testing.B) {
	accounts := 100_000
	if text := os.Getenv("WALK_ACCOUNTS"); text != "" {
		var err error
		if accounts, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	api, table := engines[0].table(b)
	const partner, size = 77, 500
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	err := fill(b.Context(), api, table, accounts, func(random *rand.Rand, i int) map[string]types.AttributeValue {
		return store.AccountItem(account.Account{
			ID: int64(i + 1), PartnerID: partner, Environment: carrier.Production, ExternalID: fmt.Sprintf("shop-%d", random.Int64()),
			Email: fmt.Sprintf("owner.%d@example.com", i), CompanyName: "Company " + strconv.Itoa(i), FirstName: "Jo", LastName: "Citizen",
			OriginCountryCode: "AU", PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$" + strconv.FormatUint(random.Uint64(), 36),
			Metadata: map[string]string{"plan": "large"}, Active: i%10 != 0, CarriersCount: i % 3, Version: int64(i%5 + 1),
			CreatedAt: now.Add(-time.Duration(random.IntN(1000)) * time.Hour), ModifiedAt: now,
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		meter := &meter{API: api, seen: map[string]bool{}}
		s := store.New(meter, table, kit.Options{})
		var after *account.Position
		read, pages := 0, 0
		for {
			page, next, err := s.ListAccounts(b.Context(), partner, account.Filter{}, after, 0, size, now)
			if err != nil {
				b.Fatal(err)
			}
			read += len(page)
			pages++
			if after = next; next == nil {
				break
			}
		}
		if read != accounts {
			b.Fatalf("walked %d accounts of %d", read, accounts)
		}
		ideal := float64((meter.bytes+4095)/4096) / 2
		b.ReportMetric(meter.units, "units")
		b.ReportMetric(meter.units/ideal, "×ideal")
		b.ReportMetric(meter.least, "least-units/page")
		b.ReportMetric(meter.most, "most-units/page")
		b.ReportMetric(float64(meter.bytes)/float64(accounts), "B/account")
		b.ReportMetric(float64(pages), "pages")
	}
}

// BenchmarkDue finds the due connections of a carrier: 5,000 of 100,000, and the
// earliest 5,000 if all are due. It compares the read units that DynamoDB Local counts
// with those of the entries that are found, read without pages or shards, and fails
// above 1.2 times these. DUE_CONNECTIONS sets the number of connections; with fewer,
// the half units that each query rounds up to weigh more.
func BenchmarkDue(b *testing.B) {
	connections := 100_000
	if text := os.Getenv("DUE_CONNECTIONS"); text != "" {
		var err error
		if connections, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	api, table := engines[0].table(b)
	n := connections / 20
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	err := fill(b.Context(), api, table, connections, func(random *rand.Rand, i int) map[string]types.AttributeValue {
		next := now.Add(-time.Duration(random.IntN(600_000)) * time.Millisecond)
		if i >= n {
			next = now.Add(time.Hour + time.Duration(random.IntN(86_400_000))*time.Millisecond)
		}
		return store.ConnectionItem(connection.Connection{
			ID: fmt.Sprintf("se-%016d", random.Uint64()%1e16), AccountID: int64(1 + random.IntN(account.MaxID)), PartnerID: 78,
			Environment: carrier.Production, Carrier: carrier.AustraliaPost, AccountNumber: fmt.Sprintf("%010d", i), Nickname: "Warehouse",
			Status: connection.Active, Standing: account.StandingActive, ChecksWithCredentials: i % 90, LastCheck: connection.Check{At: now, Outcome: carrier.OutcomeOK},
			NextRefreshAt: next, RefreshPolicy: connection.RefreshDaily, CredentialID: fmt.Sprintf("%016x", random.Uint64()), Version: int64(i%90 + 2),
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	for name, at := range map[string]time.Time{"Due": now, "Backlog": now.Add(48 * time.Hour)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				meter := &meter{API: api, seen: map[string]bool{}}
				found, _, err := store.New(meter, table, kit.Options{}).Due(b.Context(), connection.Lane(carrier.AustraliaPost), at, n)
				if err != nil {
					b.Fatal(err)
				}
				if len(found) != n {
					b.Fatalf("found %d, want %d", len(found), n)
				}
				entry := float64(meter.bytes) / float64(len(meter.seen))
				ideal := float64(n) * entry / 4096 / 2
				b.ReportMetric(meter.units, "units")
				b.ReportMetric(meter.units/ideal, "×ideal")
				b.ReportMetric(entry, "B/entry")
				b.ReportMetric(float64(meter.queries), "queries")
				if meter.units > 1.2*ideal {
					b.Errorf("%.1f read units, %.2f × those of the entries that were found", meter.units, meter.units/ideal)
				}
			}
		})
	}
}

// fill writes n items.
func fill(ctx context.Context, api *dynamodb.Client, table string, n int, item func(random *rand.Rand, i int) map[string]types.AttributeValue) error {
	const workers, batch = 8, 25
	var errs [workers]error
	var loading sync.WaitGroup
	for w := range workers {
		loading.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for from := w * batch; from < n && errs[w] == nil; from += workers * batch {
				var puts []types.WriteRequest
				for i := from; i < min(from+batch, n); i++ {
					puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: item(random, i)}})
				}
				left := map[string][]types.WriteRequest{table: puts}
				for len(left) > 0 && errs[w] == nil {
					var out *dynamodb.BatchWriteItemOutput
					if out, errs[w] = api.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: left}); errs[w] == nil {
						left = out.UnprocessedItems
					}
				}
			}
		})
	}
	loading.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// meter adds up the read units of queries, and the size of each item once.
type meter struct {
	kit.API
	mu                 sync.Mutex
	units, least, most float64
	bytes, queries     int
	seen               map[string]bool
}

func (m *meter) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	out, err := m.API.Query(ctx, in, o...)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queries++
	units := aws.ToFloat64(out.ConsumedCapacity.CapacityUnits)
	m.units += units
	m.most = max(m.most, units)
	if len(out.LastEvaluatedKey) > 0 && (m.least == 0 || units < m.least) {
		m.least = units
	}
	for _, it := range out.Items {
		if k := textOf(it, "pk") + textOf(it, "sk"); !m.seen[k] {
			m.seen[k] = true
			m.bytes += bytesOf(it)
		}
	}
	return out, nil
}

// bytesOf returns the size of an item (DynamoDB Developer Guide, "DynamoDB item sizes
// and formats").
func bytesOf(it map[string]types.AttributeValue) int {
	n := 0
	for name, v := range it {
		n += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			n += len(v.Value)
		case *types.AttributeValueMemberN:
			n += (len(v.Value)+1)/2 + 1
		case *types.AttributeValueMemberBOOL:
			n++
		case *types.AttributeValueMemberM:
			n += 3 + len(v.Value) + bytesOf(v.Value)
		default:
			panic(fmt.Sprintf("the size of a %T is not known", v))
		}
	}
	return n
}
