package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/carrier"
	"carrierlink/shared/store/internal/problem"
)

// BeginLink writes the intent: a row in state carrier.Linking with the
// connection's lease, and its id beside the account number. On success conn is
// what is stored, Version one higher.
//
// A new intent has Version 0 and an id that nobody has. With TakeOver conn is
// the abandoned intent as it was read, with the new lease; the caller has seen
// that the old one is over.
//
// It returns fault.NotFound and fault.Inactive (disabled or deleted) for the
// account, fault.CarrierConflict with ExistingCarrierID when the account holds
// the number already, and fault.State when the row is not the one that conn
// says: somebody else took it over, or a new id is taken. Nothing is written
// then.
func (s *Store) BeginLink(ctx context.Context, conn *carrier.Connection, o carrier.LinkOptions) error {
	next := *conn
	next.Status = carrier.Linking
	next.Version++

	row := s.insert(partConnection, connectionItem(&next))
	if o.TakeOver {
		row = s.put(partConnection, connectionItem(&next), "#version = :version AND #status = :linking", item{
			":version": numberValue(conn.Version), ":linking": textValue(string(carrier.Linking)),
		})
		row.write.Put.ExpressionAttributeNames = map[string]string{"#version": attrVersion, "#status": attrStatus}
	}
	refused, err := s.transact(ctx, []part{
		{partAccount, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: &s.table, Key: accountKey(conn.AccountID).item(),
			ConditionExpression:                 aws.String("#active = :true"),
			ExpressionAttributeNames:            map[string]string{"#active": attrActive},
			ExpressionAttributeValues:           item{":true": &types.AttributeValueMemberBOOL{Value: true}},
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}}},
		s.holdNumber(&next, o.AllowDuplicate),
		row,
	})
	switch {
	case err != nil:
		return fmt.Errorf("beginning a link: %w", err)
	case refused.has(partAccount) && len(refused[partAccount]) == 0:
		return problem.NoAccount()
	case refused.has(partAccount):
		return problem.Inactive()
	case refused.has(partNumber):
		return alreadyLinked(refused[partNumber])
	case refused.has(partConnection):
		return problem.MovedOn()
	}
	*conn = next
	return nil
}

// holdNumber adds the connection to those that hold its account number: on the
// condition that there is no other, unless it may be one of several.
func (s *Store) holdNumber(c *carrier.Connection, duplicate bool) part {
	u := &types.Update{
		TableName:        &s.table,
		Key:              numberKey(c.AccountID, Number{c.Carrier, c.AccountNumber}).item(),
		UpdateExpression: aws.String("ADD carrier_ids :ids"),
		ExpressionAttributeValues: item{
			":ids": &types.AttributeValueMemberSS{Value: []string{c.ID}},
		},
	}
	if !duplicate {
		u.ConditionExpression = aws.String("attribute_not_exists(carrier_ids) OR contains(carrier_ids, :id)")
		u.ExpressionAttributeValues[":id"] = textValue(c.ID)
		u.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	return part{partNumber, types.TransactWriteItem{Update: u}}
}

func alreadyLinked(holders item) error {
	ids, err := readHolders(holders)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return errors.New("an account number is held by nobody, and refused")
	}
	return problem.AlreadyLinked(ids[0])
}

// FinishLink turns the intent into a connection: in one transaction the row as
// conn says, its snapshot (nil: none yet), one more in the account's count of
// carriers, and the answer under the idempotency key (nil: none) in place of
// the request's claim. The lease ends. On success conn is what is stored,
// Version one higher.
//
// It returns fault.NotFound when the account is gone, and fault.State when it is
// deleted, or the intent or the claim is no longer the caller's. Nothing is
// written then.
func (s *Store) FinishLink(ctx context.Context, conn *carrier.Connection, snap *carrier.Snapshot, rec *carrier.IdempotencyRecord) error {
	next := freed(conn)
	parts := []part{
		s.replace(&next, conn.Version),
		{partAccount, types.TransactWriteItem{Update: &types.Update{
			TableName: &s.table, Key: accountKey(conn.AccountID).item(),
			UpdateExpression:                    aws.String("ADD carriers_count :one"),
			ConditionExpression:                 aws.String("attribute_exists(pk) AND attribute_not_exists(expires_at)"),
			ExpressionAttributeValues:           item{":one": numberValue(1)},
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}}},
	}
	if snap != nil {
		parts = append(parts, s.put(partSnapshot, snapshotItem(&next, *snap), "", nil))
	}
	if rec != nil {
		parts = append(parts, s.put(partIdempotency, idempotencyItem(*rec), ifOurClaim, ourClaim(*rec)))
	}
	refused, err := s.transact(ctx, parts)
	switch {
	case err != nil:
		return fmt.Errorf("finishing a link: %w", err)
	case refused.has(partAccount) && len(refused[partAccount]) == 0:
		return problem.NoAccount()
	case refused.has(partAccount):
		return problem.Deleted()
	case len(refused) > 0:
		return problem.MovedOn()
	}
	*conn = next
	return nil
}

// freed is the connection's next version, without a lease.
func freed(c *carrier.Connection) carrier.Connection {
	next := *c
	next.LeaseUntil = time.Time{}
	next.Version++
	return next
}

// replace is a part that writes the row on the condition of its version.
func (s *Store) replace(c *carrier.Connection, version int64) part {
	p := s.put(partConnection, connectionItem(c), "#version = :version", item{":version": numberValue(version)})
	p.write.Put.ExpressionAttributeNames = map[string]string{"#version": attrVersion}
	return p
}

// ClaimCheck takes the connection's lease until the given time, for one check,
// and returns the row as it is then: its Version is what RecordCheck needs. A
// row that is gone is fault.NotFound. fault.State says that the row is no
// longer the one that was read, that it is still an intent, or that somebody is
// at it; RetryAfter is then the rest of that lease.
func (s *Store) ClaimCheck(ctx context.Context, conn carrier.Connection, until, now time.Time) (carrier.Connection, error) {
	var out *dynamodb.UpdateItemOutput
	err := s.write(ctx, func() error {
		var err error
		out, err = s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:           &s.table,
			Key:                 connectionKey(conn.AccountID, conn.ID).item(),
			UpdateExpression:    aws.String("SET lease_until = :until, #version = :next"),
			ConditionExpression: aws.String("#version = :version AND #status <> :linking AND (attribute_not_exists(lease_until) OR lease_until <= :now)"),
			ExpressionAttributeNames: map[string]string{
				"#version": attrVersion, "#status": attrStatus,
			},
			ExpressionAttributeValues: item{
				":until": timeValue(until), ":now": timeValue(now),
				":version": numberValue(conn.Version), ":next": numberValue(conn.Version + 1),
				":linking": textValue(string(carrier.Linking)),
			},
			ReturnValues:                        types.ReturnValueAllNew,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		return err
	})
	if old, refused := refusedItem(err); refused {
		return carrier.Connection{}, notClaimed(old, now)
	}
	if err != nil {
		return carrier.Connection{}, fmt.Errorf("claiming a connection: %w", err)
	}
	return readConnection(out.Attributes)
}

func notClaimed(old item, now time.Time) error {
	if len(old) == 0 {
		return problem.NoConnection()
	}
	row, err := readConnection(old)
	if err != nil {
		return err
	}
	if rest := row.LeaseUntil.Sub(now); rest > 0 {
		return problem.Leased(rest)
	}
	return problem.MovedOn()
}

// RecordCheck writes the row as conn says and its snapshot (nil: the one that
// is there stays) and ends the lease. On success conn is what is stored,
// Version one higher. It returns fault.NotFound when the row is gone, and
// fault.State when it is no longer the one that was claimed: nothing is written
// then.
func (s *Store) RecordCheck(ctx context.Context, conn *carrier.Connection, snap *carrier.Snapshot) error {
	next := freed(conn)
	row := s.replace(&next, conn.Version)
	var old item
	var refused bool
	var err error
	if snap == nil {
		p := row.write.Put
		err = s.write(ctx, func() error {
			_, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{
				TableName: p.TableName, Item: p.Item, ConditionExpression: p.ConditionExpression,
				ExpressionAttributeNames: p.ExpressionAttributeNames, ExpressionAttributeValues: p.ExpressionAttributeValues,
				ReturnValuesOnConditionCheckFailure: p.ReturnValuesOnConditionCheckFailure,
			})
			return err
		})
		if old, refused = refusedItem(err); refused {
			err = nil
		}
	} else {
		var r refusals
		r, err = s.transact(ctx, []part{row, s.put(partSnapshot, snapshotItem(&next, *snap), "", nil)})
		old, refused = r[partConnection], r.has(partConnection)
	}
	switch {
	case err != nil:
		return fmt.Errorf("recording a check: %w", err)
	case refused && len(old) == 0:
		return problem.NoConnection()
	case refused:
		return problem.MovedOn()
	}
	*conn = next
	return nil
}
