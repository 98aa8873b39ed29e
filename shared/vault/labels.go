package vault

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/connection"
)

// The labels of Secrets Manager. AWS moves AWSPREVIOUS by itself, to the version
// that loses AWSCURRENT (API reference, "UpdateSecretVersionStage", note).
const (
	current = "AWSCURRENT"
	pending = "AWSPENDING"
)

// Stage stores c beside the current credentials, as a version that is labelled
// AWSPENDING, and returns that version; Align makes it the current one. token is
// as with Create. The same call again changes nothing that a row may name, and
// returns the same version. Where there is no secret at all it is created, and
// the version is current at once; one that is scheduled for deletion is restored
// first.
//
// There is one AWSPENDING: a version that was staged before and never aligned
// may vanish. So a row that names a staged version is aligned before the next
// Stage.
//
// It returns fault.State with RetryAfter when another request changes the
// secret at the same time, or token stands for other credentials; anything else
// is fault.Internal.
func (v *Vault) Stage(ctx context.Context, accountID int64, connectionID, token string, c connection.Credentials) (version string, err error) {
	name := v.name(accountID, connectionID)
	text, err := encode(c)
	if err != nil {
		return "", err
	}
	version, err = v.stage(ctx, name, token, text)
	if exists(err) || missing(err) || scheduled(err) || invalid(err) {
		err = connection.ErrSecretBusy(clean(err))
	}
	if err != nil {
		return "", fmt.Errorf("staging credentials: %w", clean(err))
	}
	return version, nil
}

func (v *Vault) stage(ctx context.Context, name, token, text string) (string, error) {
	in := &secretsmanager.PutSecretValueInput{
		SecretId: &name, ClientRequestToken: &token, SecretString: &text, VersionStages: []string{pending},
	}
	out, err := v.api.PutSecretValue(ctx, in)
	if scheduled(err) {
		_, err = v.api.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &name})
		if err == nil || scheduled(err) { // scheduled: somebody else has restored it
			out, err = v.api.PutSecretValue(ctx, in)
		}
	}
	if missing(err) {
		created, err := v.api.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
			Name: &name, ClientRequestToken: &token, SecretString: &text,
		})
		if err != nil {
			return "", err
		}
		return aws.ToString(created.VersionId), nil
	}
	if err != nil {
		return "", err
	}
	version := aws.ToString(out.VersionId)
	if len(out.VersionStages) > 0 {
		return version, nil
	}
	// A repeat: AWS did nothing ("PutSecretValue", ClientRequestToken), so a label
	// that the version has lost since it does not have now. (LocalStack leaves the
	// labels out of this answer even if there are some.)
	now, err := v.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		return "", err
	}
	if len(now.VersionIdsToStages[version]) == 0 {
		err = v.hold(ctx, name, version, now.VersionIdsToStages)
	}
	return version, err
}

// rounds is how often Align looks at the labels: once, and again when they are
// not as it saw them.
const rounds = 3

// Align brings the labels into line with the row, whatever they were: version
// has AWSCURRENT, the one that had it has AWSPREVIOUS, and none has AWSPENDING.
// Both stay readable. Again, or at the same time, it changes nothing.
//
// It acts on what DescribeSecret says and repeats that when AWS does not agree:
// "all Secrets Manager operations are eventually consistent" (API reference,
// "ListSecrets"), and somebody else may be aligning. For the same reason a
// version that is not listed is gone only when it can not be labelled either.
//
// It returns fault.NotFound when the secret or the version is gone, or the
// secret is scheduled for deletion; fault.State with RetryAfter when the labels
// keep moving; anything else is fault.Internal.
func (v *Vault) Align(ctx context.Context, accountID int64, connectionID, version string) error {
	name := v.name(accountID, connectionID)
	var refused error
	var listed bool
	for range rounds {
		now, err := v.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
		switch {
		case missing(err):
			return connection.ErrNoCredentials(clean(err))
		case err != nil:
			return fmt.Errorf("reading labels: %w", clean(err))
		case now.DeletedDate != nil:
			return connection.ErrNoCredentials(nil)
		}
		if listed = len(now.VersionIdsToStages[version]) > 0; listed {
			refused = v.arrange(ctx, name, version, now.VersionIdsToStages)
		} else {
			refused = v.hold(ctx, name, version, now.VersionIdsToStages)
		}
		switch {
		case refused == nil && listed:
			return nil
		case refused != nil && !invalid(refused) && !missing(refused) && !scheduled(refused):
			return fmt.Errorf("moving labels: %w", clean(refused))
		}
	}
	if refused != nil && !listed {
		return connection.ErrNoCredentials(clean(refused))
	}
	return connection.ErrSecretBusy(clean(refused))
}

// arrange makes version the current one, and then takes AWSPENDING away: first
// would leave version without a label. Whether AWSPENDING goes by itself when
// AWSCURRENT comes, AWS says in two ways ("Lambda rotation functions",
// finishSecret, in the user guide: yes; "RotateSecret" in the API reference: it
// may stay). When it has gone, taking it away is refused, and Align looks again.
func (v *Vault) arrange(ctx context.Context, name, version string, labels map[string][]string) error {
	if !slices.Contains(labels[version], current) {
		if err := v.move(ctx, name, current, &version, holder(labels, current)); err != nil {
			return err
		}
	}
	var refused error
	for id := range labels { // AWS has one at most; MiniStack may have more, and frees them in its own order
		if slices.Contains(labels[id], pending) {
			if err := v.move(ctx, name, pending, nil, &id); err != nil {
				refused = err
			}
		}
	}
	return refused
}

// hold gives a version without a label AWSPENDING, so that AWS keeps it.
func (v *Vault) hold(ctx context.Context, name, version string, labels map[string][]string) error {
	return v.move(ctx, name, pending, &version, holder(labels, pending))
}

// move takes a label from one version and gives it to another; either may be
// nil. AWS refuses it when another version than from has the label (API
// reference, "UpdateSecretVersionStage", RemoveFromVersionId).
func (v *Vault) move(ctx context.Context, name, label string, to, from *string) error {
	_, err := v.api.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &name, VersionStage: &label, MoveToVersionId: to, RemoveFromVersionId: from,
	})
	return err
}

// holder is the version that has a label, nil if none has.
func holder(labels map[string][]string, label string) *string {
	for id, all := range labels {
		if slices.Contains(all, label) {
			return &id
		}
	}
	return nil
}
