package main

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/infra/test/calltrace"
)

// BenchmarkAuthenticatedRead compares a read of a stored snapshot with the two SDK calls
// that it makes, concurrently and with the same inputs. The limit is 1.25.
func BenchmarkAuthenticatedRead(b *testing.B) {
	w := newWorld(b)
	ours := func() {
		if resp := w.get("false", ""); resp.StatusCode != http.StatusOK {
			b.Fatalf("get answers %d: %s", resp.StatusCode, resp.Body)
		}
	}
	ours()
	ours() // the first use of a key in a minute is another call
	update, read := w.seen.update, w.seen.read
	bare := func() {
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := w.seen.Client.BatchGetItem(context.Background(), read); err != nil {
				b.Error(err)
			}
		})
		if _, err := w.seen.Client.UpdateItem(context.Background(), calltrace.Again(update)); err != nil {
			b.Error(err)
		}
		wg.Wait()
	}
	calltrace.Compare(b, ours, bare)
}

// inputs records the inputs of the store's calls to DynamoDB.
type inputs struct {
	*dynamodb.Client
	update *dynamodb.UpdateItemInput
	read   *dynamodb.BatchGetItemInput
}

func (s *inputs) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	s.update = in
	return s.Client.UpdateItem(ctx, in, o...)
}

func (s *inputs) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	s.read = in
	return s.Client.BatchGetItem(ctx, in, o...)
}
