package vault

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/connection"
)

// The recovery window that AWS allows, in days (API reference, "DeleteSecret",
// RecoveryWindowInDays).
const (
	minWindow = 7
	maxWindow = 30
)

// Delete schedules the deletion of a connection's credentials, all versions, in
// so many days: 7 at least and 30 at most, whatever is asked for; until then
// Restore brings them back. Exactly 0 days deletes at once, for good, also what
// is scheduled. A secret that is absent is left as it is, and so is the date of
// one that is scheduled already. Anything that comes back is fault.Internal.
func (v *Vault) Delete(ctx context.Context, accountID int64, connectionID string, days int) error {
	name := v.name(accountID, connectionID)
	in := &secretsmanager.DeleteSecretInput{SecretId: &name}
	if days == 0 {
		in.ForceDeleteWithoutRecovery = aws.Bool(true)
	} else {
		in.RecoveryWindowInDays = aws.Int64(int64(min(max(days, minWindow), maxWindow)))
	}
	_, err := v.api.DeleteSecret(ctx, in)
	if scheduled(err) {
		var is bool
		if is, err = v.isScheduled(ctx, name, err); is {
			return nil
		}
	}
	if err != nil && !missing(err) {
		return fmt.Errorf("deleting credentials: %w", clean(err))
	}
	return nil
}

// Restore calls the deletion of a connection's credentials off; where none is
// scheduled it does nothing. It returns fault.NotFound when there is no secret,
// or none that can be restored any more; anything else is fault.Internal.
func (v *Vault) Restore(ctx context.Context, accountID int64, connectionID string) error {
	name := v.name(accountID, connectionID)
	_, err := v.api.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &name})
	if scheduled(err) {
		// AWS documents this error, and not whether a secret that is not scheduled
		// gets it (API reference, "RestoreSecret", Errors): MiniStack refuses,
		// LocalStack does not.
		cause := clean(err)
		var is bool
		if is, err = v.isScheduled(ctx, name, nil); is {
			return connection.ErrNoCredentials(cause)
		}
	}
	switch {
	case missing(err):
		return connection.ErrNoCredentials(clean(err))
	case err != nil:
		return fmt.Errorf("restoring credentials: %w", clean(err))
	}
	return nil
}

// isScheduled tells whether a secret is scheduled for deletion; DescribeSecret
// answers for one that is (API reference, "DescribeSecret", DeletedDate). If it
// is not, the error is otherwise.
func (v *Vault) isScheduled(ctx context.Context, name string, otherwise error) (bool, error) {
	now, err := v.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	switch {
	case err != nil:
		return false, err
	case now.DeletedDate != nil:
		return true, nil
	}
	return false, otherwise
}
