package calltrace

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"gopkg.in/yaml.v3"

	"carrierlink/infra/local/emulator"
)

// Table creates the table of template.yaml under a name, or fails the test.
func Table(tb testing.TB, cfg aws.Config, name string) {
	tb.Helper()
	if err := CreateTable(tb.Context(), cfg, name); err != nil {
		tb.Fatal(err)
	}
}

// CreateTable creates the table of template.yaml with its indexes under a name,
// and waits until it exists.
func CreateTable(ctx context.Context, cfg aws.Config, name string) error {
	read, err := definition()
	if err != nil {
		return fmt.Errorf("reading the table's definition: %w", err)
	}
	in := *read
	in.TableName = &name
	client := dynamodb.NewFromConfig(cfg)
	// The SDK asks again after a lost answer, and hears that there is one.
	var exists *types.ResourceInUseException
	if _, err := client.CreateTable(ctx, &in); err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("creating the table: %w", err)
	}
	return dynamodb.NewTableExistsWaiter(client).Wait(ctx, &dynamodb.DescribeTableInput{TableName: &name}, time.Minute)
}

// keySchema is a key schema of the template.
type keySchema []struct {
	AttributeName string        `yaml:"AttributeName"`
	KeyType       types.KeyType `yaml:"KeyType"`
}

func (k keySchema) elements() []types.KeySchemaElement {
	elements := make([]types.KeySchemaElement, len(k))
	for i, e := range k {
		elements[i] = types.KeySchemaElement{AttributeName: aws.String(e.AttributeName), KeyType: e.KeyType}
	}
	return elements
}

// definition is readDefinition, once in a process: a test of crashes creates a table for each call.
var definition = sync.OnceValues(readDefinition)

// readDefinition reads the keys and indexes of the table from template.yaml.
func readDefinition() (*dynamodb.CreateTableInput, error) {
	text, err := emulator.File("template.yaml")
	if err != nil {
		return nil, err
	}
	var t struct {
		Resources struct {
			Table struct {
				Properties struct {
					AttributeDefinitions []struct {
						AttributeName string                    `yaml:"AttributeName"`
						AttributeType types.ScalarAttributeType `yaml:"AttributeType"`
					} `yaml:"AttributeDefinitions"`
					KeySchema              keySchema `yaml:"KeySchema"`
					GlobalSecondaryIndexes []struct {
						IndexName  string    `yaml:"IndexName"`
						KeySchema  keySchema `yaml:"KeySchema"`
						Projection struct {
							ProjectionType   types.ProjectionType `yaml:"ProjectionType"`
							NonKeyAttributes []string             `yaml:"NonKeyAttributes"`
						} `yaml:"Projection"`
					} `yaml:"GlobalSecondaryIndexes"`
				} `yaml:"Properties"`
			} `yaml:"Table"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &t); err != nil {
		return nil, err
	}
	p := t.Resources.Table.Properties
	in := &dynamodb.CreateTableInput{BillingMode: types.BillingModePayPerRequest, KeySchema: p.KeySchema.elements()}
	for _, a := range p.AttributeDefinitions {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String(a.AttributeName), AttributeType: a.AttributeType})
	}
	for _, i := range p.GlobalSecondaryIndexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: aws.String(i.IndexName), KeySchema: i.KeySchema.elements(),
			Projection: &types.Projection{ProjectionType: i.Projection.ProjectionType, NonKeyAttributes: i.Projection.NonKeyAttributes},
		})
	}
	return in, nil
}
