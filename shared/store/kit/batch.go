package kit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/invocation"
)

// maxBatch is how many items DynamoDB writes in one BatchWriteItem.
const maxBatch = 25

// maxConcurrent is how many calls Concurrently makes at a time: as many as the SDK's HTTP
// client keeps connections to one host.
const maxConcurrent = 10

// BatchWrite puts and deletes items without conditions, in calls of 25, ten at a time. No
// two of them may have the same key. What DynamoDB leaves for another call after six is
// fault.Overloaded. After an error any of the items may have been written.
func (s *Table) BatchWrite(ctx context.Context, puts []Item, deletes []Key) error {
	var all []types.WriteRequest
	for _, it := range puts {
		all = append(all, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
	}
	for _, k := range deletes {
		all = append(all, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: k.Item()}})
	}
	batches := slices.Collect(slices.Chunk(all, maxBatch))
	return Concurrently(len(batches), func(i int) error { return s.batchWrite(ctx, batches[i]) })
}

func (s *Table) batchWrite(ctx context.Context, batch []types.WriteRequest) error {
	left := map[string][]types.WriteRequest{s.Name: batch}
	for n := 0; ; n++ {
		out, err := s.API.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: left})
		if err != nil {
			return err
		}
		if left = out.UnprocessedItems; len(left) == 0 {
			return nil
		}
		if n+1 == Attempts {
			return throttled(ctx, fmt.Errorf("items left unwritten after %d calls", Attempts))
		}
		if err := s.Backoff(ctx, n); err != nil {
			return throttled(ctx, fmt.Errorf("items left unwritten: %w", err))
		}
	}
}

// Concurrently calls do for 0 to n-1, ten at a time, and joins the errors. After one that
// is not nil it begins no more.
func Concurrently(n int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	var working sync.WaitGroup
	for range min(maxConcurrent, n) {
		working.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && !failed.Load(); i = next.Add(1) - 1 {
				if errs[i] = invocation.Recovering(func() error { return do(int(i)) }); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}
