package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/effects"
	"carrierlink/shared/store/kit"
)

// attribute is a value of an item in a record of the table's stream. Events have texts and
// numbers only.
type attribute struct {
	S *string `json:"S"`
	N *string `json:"N"`
}

// FromStream reads the new event of a record of the table's stream, in the form that Lambda
// passes on (Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB"). The error of
// a record without one names its sequence number, as far as that can be read.
func FromStream(record []byte) (effects.Recorded, error) {
	var r struct {
		Change struct {
			SequenceNumber string               `json:"SequenceNumber"`
			NewImage       map[string]attribute `json:"NewImage"`
		} `json:"dynamodb"`
	}
	if err := json.Unmarshal(record, &r); err != nil {
		return effects.Recorded{}, fmt.Errorf("the record %s of the stream: %w", r.Change.SequenceNumber, err)
	}
	it := kit.Item{}
	for name, v := range r.Change.NewImage {
		switch {
		case v.S != nil:
			it[name] = kit.TextValue(*v.S)
		case v.N != nil:
			it[name] = &types.AttributeValueMemberN{Value: *v.N}
		}
	}
	e, err := kit.EventFromItem(it)
	switch {
	case err != nil:
	case !effects.IsEventID(e.ID) || !strings.HasPrefix(e.ID, effects.EventIDsFrom(e.At)):
		err = errors.New("it has no event_id of its time")
	}
	if err != nil {
		return e, fmt.Errorf("the record %s of the stream: %w", r.Change.SequenceNumber, err)
	}
	return e, nil
}
