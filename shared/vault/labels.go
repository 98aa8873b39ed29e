package vault

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

// The labels of Secrets Manager. AWS itself moves AWSPREVIOUS to the version that
// loses AWSCURRENT (API reference, "UpdateSecretVersionStage", note).
const (
	current  = "AWSCURRENT"
	pending  = "AWSPENDING"
	previous = "AWSPREVIOUS"
)

// Stage stores c beside the current credentials, as a version labelled AWSPENDING, and
// returns that version; Align makes it the current one. token is as in Create.
// Repeating the call changes no version that a row may name, and returns the same
// version. Without a secret, Stage creates one, whose version is current at once; it
// restores a secret that is scheduled for deletion.
//
// There is one AWSPENDING: an earlier version that was staged and never aligned may
// vanish. So a row that names a staged version must be aligned before the next Stage.
//
// It returns fault.State with RetryAfter when another request changes the secret at
// the same time, or token stands for other credentials; fault.RateLimited with
// RetryAfter when the secret has too many versions; anything else is fault.Internal.
func (v *Vault) Stage(ctx context.Context, accountID int64, connectionID, token string, c connection.Credentials) (version string, err error) {
	name := v.name(accountID, connectionID)
	text, err := encode(c)
	if err != nil {
		return "", err
	}
	version, err = v.stage(ctx, name, token, text)
	if exists(err) || missing(err) || scheduled(err) || invalid(err) {
		err = fault.Busy(clean(ctx, err))
	}
	if err != nil {
		return "", fmt.Errorf("staging credentials: %w", clean(ctx, err))
	}
	return version, nil
}

func (v *Vault) stage(ctx context.Context, name, token, text string) (string, error) {
	in := &secretsmanager.PutSecretValueInput{
		SecretId: &name, ClientRequestToken: &token, SecretString: &text, VersionStages: []string{pending},
	}
	out, err := v.put(ctx, in)
	if scheduled(err) {
		_, err = v.api.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &name})
		if err == nil || scheduled(err) { // refused: another request has restored it
			out, err = v.put(ctx, in)
		}
	}
	if missing(err) {
		return v.create(ctx, name, token, text)
	}
	if err != nil {
		return "", err
	}
	version := aws.ToString(out.VersionId)
	if len(out.VersionStages) > 0 {
		return version, nil
	}
	// A repeat: AWS did nothing ("PutSecretValue", ClientRequestToken), so the version
	// may have lost its label. (LocalStack omits existing labels from this answer, too.)
	now, err := v.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		return "", err
	}
	if len(now.VersionIdsToStages[version]) == 0 {
		err = v.labelPending(ctx, name, version, now.VersionIdsToStages)
	}
	return version, err
}

// maxReads is how often Align reads the labels: once, and again when they have
// changed meanwhile.
const maxReads = 3

// Align makes the labels agree with the row, whatever they were: version has
// AWSCURRENT, the one that had it has AWSPREVIOUS, and none has AWSPENDING. Both stay
// readable. If version was current before, AWSPREVIOUS is taken from every version but
// previous, "" for none, so that AWS may remove it. Repeating the call, even at the same
// time, changes nothing.
//
// It acts on what DescribeSecret returns, and starts again when AWS disagrees: "all
// Secrets Manager operations are eventually consistent" (API reference,
// "ListSecrets"), and another request may be aligning. For the same reason a version
// that is not listed is gone only if it cannot be labelled either.
//
// It returns fault.NotFound when the secret or the version is gone, or the secret is
// scheduled for deletion; fault.State with RetryAfter when the labels keep changing;
// anything else is fault.Internal.
func (v *Vault) Align(ctx context.Context, accountID int64, connectionID, version, previous string) error {
	name := v.name(accountID, connectionID)
	var refused error
	var listed bool
	for range maxReads {
		now, err := v.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
		switch {
		case missing(err):
			return connection.ErrNoCredentials(clean(ctx, err))
		case err != nil:
			return fmt.Errorf("reading labels: %w", clean(ctx, err))
		case now.DeletedDate != nil:
			return connection.ErrNoCredentials(nil)
		}
		if listed = len(now.VersionIdsToStages[version]) > 0; listed {
			refused = v.makeCurrent(ctx, name, version, previous, now.VersionIdsToStages)
		} else {
			refused = v.labelPending(ctx, name, version, now.VersionIdsToStages)
		}
		switch {
		case refused == nil && listed:
			return nil
		case refused != nil && !invalid(refused) && !missing(refused) && !scheduled(refused):
			return fmt.Errorf("moving labels: %w", clean(ctx, refused))
		}
	}
	if refused != nil && !listed {
		return connection.ErrNoCredentials(clean(ctx, refused))
	}
	return fault.Busy(clean(ctx, refused))
}

// makeCurrent makes version the current one and then removes AWSPENDING; the other
// way round, version would have no label for a moment. The documents disagree on
// whether moving AWSCURRENT removes AWSPENDING ("Lambda rotation functions",
// finishSecret, in the user guide: yes; "RotateSecret" in the API reference: it may
// stay). If it is gone, AWS refuses to remove it, and Align reads the labels again.
func (v *Vault) makeCurrent(ctx context.Context, name, version, kept string, labels map[string][]string) error {
	if !slices.Contains(labels[version], current) {
		if err := v.moveLabel(ctx, name, current, &version, holder(labels, current)); err != nil {
			return err
		}
	} else if old := holder(labels, previous); old != nil && *old != kept {
		if err := v.moveLabel(ctx, name, previous, nil, old); err != nil {
			return err
		}
	}
	var refused error
	for id := range labels { // AWS has at most one; MiniStack may have more, and frees them in its own order
		if slices.Contains(labels[id], pending) {
			if err := v.moveLabel(ctx, name, pending, nil, &id); err != nil {
				refused = err
			}
		}
	}
	return refused
}

// DropPrevious takes AWSPREVIOUS from a version, so that AWS may remove it. It does nothing
// if the version does not have that label, or is gone, or the secret is scheduled for
// deletion. Any error is fault.Internal, or fault.Overloaded if AWS throttles.
func (v *Vault) DropPrevious(ctx context.Context, accountID int64, connectionID, version string) error {
	err := v.moveLabel(ctx, v.name(accountID, connectionID), previous, nil, &version)
	if err == nil || invalid(err) || missing(err) || scheduled(err) {
		return nil
	}
	return fmt.Errorf("removing a label: %w", clean(ctx, err))
}

// labelPending labels a version AWSPENDING, so that AWS keeps it.
func (v *Vault) labelPending(ctx context.Context, name, version string, labels map[string][]string) error {
	return v.moveLabel(ctx, name, pending, &version, holder(labels, pending))
}

// moveLabel moves a label between versions, either of which may be nil. AWS refuses if
// another version than from has it (API reference, "UpdateSecretVersionStage",
// RemoveFromVersionId).
func (v *Vault) moveLabel(ctx context.Context, name, label string, to, from *string) error {
	_, err := v.api.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &name, VersionStage: &label, MoveToVersionId: to, RemoveFromVersionId: from,
	})
	return err
}

// holder returns the version that has a label; nil for none.
func holder(labels map[string][]string, label string) *string {
	for id, all := range labels {
		if slices.Contains(all, label) {
			return &id
		}
	}
	return nil
}
