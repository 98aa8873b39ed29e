package vault

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/connection"
)

// Delete schedules the deletion of a connection's credentials, in all versions, after
// so many days, within 7 to 30; until then Restore brings them back. 0 days deletes
// them at once and for good, even if their deletion is scheduled. Delete does nothing
// if there is no secret, and does not move the date of one that is scheduled. Every
// error is fault.Internal.
func (v *Vault) Delete(ctx context.Context, accountID int64, connectionID string, days int) error {
	name := v.name(accountID, connectionID)
	in := &secretsmanager.DeleteSecretInput{SecretId: &name}
	if days == 0 {
		in.ForceDeleteWithoutRecovery = aws.Bool(true)
	} else {
		// The bounds of AWS (API reference, "DeleteSecret", RecoveryWindowInDays).
		in.RecoveryWindowInDays = aws.Int64(int64(min(max(days, 7), 30)))
	}
	_, err := v.api.DeleteSecret(ctx, in)
	if scheduled(err) {
		// DescribeSecret answers for a scheduled secret too (API reference,
		// "DescribeSecret", DeletedDate).
		out, describeErr := v.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
		switch {
		case describeErr != nil:
			err = describeErr
		case out.DeletedDate != nil:
			return nil
		}
	}
	if err != nil && !missing(err) {
		return fmt.Errorf("deleting credentials: %w", clean(ctx, err))
	}
	return nil
}

// Restore cancels the scheduled deletion of a connection's credentials, if there is
// one. It returns fault.NotFound when there is no secret, or it can no longer be
// restored; anything else is fault.Internal.
func (v *Vault) Restore(ctx context.Context, accountID int64, connectionID string) error {
	name := v.name(accountID, connectionID)
	_, err := v.api.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &name})
	if scheduled(err) {
		// AWS documents this error, but not whether a secret that is not scheduled
		// gets it (API reference, "RestoreSecret", Errors): MiniStack refuses,
		// LocalStack does not.
		out, describeErr := v.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
		if describeErr == nil && out.DeletedDate != nil {
			return connection.ErrNoCredentials(clean(ctx, err))
		}
		err = describeErr
	}
	switch {
	case missing(err):
		return connection.ErrNoCredentials(clean(ctx, err))
	case err != nil:
		return fmt.Errorf("restoring credentials: %w", clean(ctx, err))
	}
	return nil
}
