package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/store/kit"
)

// BenchmarkCreateAccount compares a creation without a password with its two bare SDK
// calls: the same inputs except for their keys, in the same order, on the same engine.
// The limit of the ratio is 1.15.
func BenchmarkCreateAccount(b *testing.B) {
	var seen inputs
	engines := functiontest.StartTable(b)
	engines.Tap = func(client *dynamodb.Client) kit.API {
		seen.Client = client
		return &seen
	}
	d := onTable(b, engines, "bench")
	post(d, "partner 5", `{}`)
	n := 0
	ours := func() {
		n++
		resp := post(d, "partner 5", fmt.Sprintf(`{"first_name":"Ada","last_name":"Byron","company_name":"Engines","external_account_id":"m-%d","email":"m%d@example.com"}`, n, n))
		if resp.StatusCode != http.StatusOK {
			b.Fatalf("create answers %d: %s", resp.StatusCode, resp.Body)
		}
	}
	bare := func() {
		use, write := seen.update, seen.transact
		if _, err := seen.Client.UpdateItem(context.Background(), calltrace.Again(use)); err != nil {
			b.Fatal(err)
		}
		if _, err := seen.Client.TransactWriteItems(context.Background(), elsewhere(write)); err != nil {
			b.Fatal(err)
		}
	}
	calltrace.Compare(b, ours, bare)
}

// elsewhere returns the same transaction with keys of other partitions.
func elsewhere(in *dynamodb.TransactWriteItemsInput) *dynamodb.TransactWriteItemsInput {
	out := &dynamodb.TransactWriteItemsInput{TransactItems: make([]types.TransactWriteItem, len(in.TransactItems))}
	for i, part := range in.TransactItems {
		put := *part.Put
		put.Item = maps.Clone(part.Put.Item)
		if pk, ok := put.Item["pk"].(*types.AttributeValueMemberS); ok {
			put.Item["pk"] = &types.AttributeValueMemberS{Value: pk.Value + " bare"}
		}
		out.TransactItems[i].Put = &put
	}
	return out
}

// inputs records the inputs of the store's calls to DynamoDB.
type inputs struct {
	*dynamodb.Client
	update   *dynamodb.UpdateItemInput
	transact *dynamodb.TransactWriteItemsInput
}

func (s *inputs) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	s.update = in
	return s.Client.UpdateItem(ctx, in, o...)
}

func (s *inputs) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, o ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	s.transact = in
	return s.Client.TransactWriteItems(ctx, in, o...)
}
