// Package vault keeps carrier credentials in AWS Secrets Manager: one secret per
// connection, named after it. It never puts secret text into an error: of the
// service's errors only the code gets out, because their messages may quote the
// request. A throttled call of any method is fault.Overloaded with RetryAfter; it is
// not part of the "anything else" in the documentation of the methods.
//
// Credentials are written and read by version. The connection's row decides which
// version counts. The labels AWSCURRENT, AWSPREVIOUS and AWSPENDING follow the row;
// they only keep AWS from deleting versions that we need (API reference,
// "DescribeSecret", VersionIdsToStages: a version without a label is deprecated and
// can be deleted).
package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// Getter is what reading a secret calls of the Secrets Manager client.
type Getter interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// API is what the vault calls of the Secrets Manager client.
type API interface {
	Getter
	CreateSecret(context.Context, *secretsmanager.CreateSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error)
	DescribeSecret(context.Context, *secretsmanager.DescribeSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error)
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
	UpdateSecretVersionStage(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error)
	DeleteSecret(context.Context, *secretsmanager.DeleteSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DeleteSecretOutput, error)
	RestoreSecret(context.Context, *secretsmanager.RestoreSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.RestoreSecretOutput, error)
}

// Vault keeps the credentials of connections. It is safe for concurrent use.
type Vault struct {
	api    API
	prefix string
	tags   []types.Tag // of new secrets
}

// New makes a vault. A secret's name is the prefix, which ends with a slash, the
// account id, a slash and the carrier_id. New secrets have the tag carrierlink:stack, as
// the table has, with the first part of the prefix.
//
// Creating a secret with tags needs the permission secretsmanager:TagResource too (API
// reference, "CreateSecret", Required permissions).
func New(client API, prefix string) *Vault {
	stack, _, _ := strings.Cut(prefix, "/")
	return &Vault{api: client, prefix: prefix, tags: []types.Tag{{Key: aws.String("carrierlink:stack"), Value: &stack}}}
}

func (v *Vault) name(accountID int64, connectionID string) string {
	return v.prefix + strconv.FormatInt(accountID, 10) + "/" + connectionID
}

// record is the JSON of a secret. Its members are plain text: never print it.
type record struct {
	APIKey    string `json:"api_key"`
	APISecret string `json:"api_secret"`
}

func encode(c connection.Credentials) (string, error) {
	b, err := json.Marshal(record{c.APIKey.Reveal(), c.APISecret.Reveal()}) //nolint:gosec // on its way into Secrets Manager
	if err != nil {
		return "", errors.New("credentials cannot be encoded")
	}
	return string(b), nil
}

// decode hides the errors of encoding/json, which quote the input.
func decode(text *string) (connection.Credentials, error) {
	var r record
	if text == nil || json.Unmarshal([]byte(*text), &r) != nil || r.APIKey == "" || r.APISecret == "" {
		return connection.Credentials{}, errors.New("the secret is not an object of api_key and api_secret")
	}
	return connection.Credentials{APIKey: secret.New(r.APIKey), APISecret: secret.New(r.APISecret)}, nil
}

// Create makes c the connection's current credentials and returns the version that
// holds them. token, 32 to 64 characters, stands for c forever; other credentials
// need another token: AWS treats a known token with its value as a repeat, even if the
// secret has changed since (API reference, "CreateSecret" and "PutSecretValue",
// ClientRequestToken). The version equals the token, unless there was a secret before.
// Repeating the call changes nothing and returns the same version, whether or not the
// first answer arrived. If a request that died has left a secret, its value becomes c;
// Create restores it if it is scheduled for deletion.
//
// It returns fault.State with RetryAfter when another request changes the secret at
// the same time; fault.RateLimited with RetryAfter when the secret has too many versions;
// anything else is fault.Internal.
func (v *Vault) Create(ctx context.Context, accountID int64, connectionID, token string, c connection.Credentials) (version string, err error) {
	name := v.name(accountID, connectionID)
	text, err := encode(c)
	if err != nil {
		return "", err
	}
	version, err = v.create(ctx, name, token, text)
	if exists(err) || scheduled(err) {
		version, err = v.replace(ctx, name, token, text, c, err)
	}
	if err != nil {
		return "", fmt.Errorf("storing credentials: %w", clean(ctx, err))
	}
	return version, nil
}

func (v *Vault) create(ctx context.Context, name, token, text string) (version string, err error) {
	out, err := v.api.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: &name, ClientRequestToken: &token, SecretString: &text, Tags: v.tags,
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.VersionId), nil
}

// replace makes c the current value of a secret and returns its version. refusal is
// the error of CreateSecret: the secret exists or is scheduled for deletion. AWS ties
// a request token to one value forever, so replace derives the new value's token from
// token and from the version that it replaces: a repeat has the same token, and no
// other change does.
func (v *Vault) replace(ctx context.Context, name, token, text string, c connection.Credentials, refusal error) (string, error) {
	read := &secretsmanager.GetSecretValueInput{SecretId: &name}
	now, err := v.api.GetSecretValue(ctx, read)
	if scheduled(err) {
		if _, err = v.api.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &name}); err == nil {
			now, err = v.api.GetSecretValue(ctx, read)
		}
	}
	switch {
	case missing(err) && scheduled(refusal):
		return "", refusal // it did not concern a deletion
	case missing(err), scheduled(err): // another request is deleting it
		return "", fault.Busy(clean(ctx, err))
	case err != nil:
		return "", err
	}
	if stored, err := decode(now.SecretString); err == nil && stored.Equal(c) {
		return aws.ToString(now.VersionId), nil
	}
	sum := sha256.Sum256([]byte(token + "\x00" + aws.ToString(now.VersionId)))
	put, err := v.put(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &name, ClientRequestToken: aws.String(hex.EncodeToString(sum[:])), SecretString: &text,
	})
	switch {
	case exists(err), missing(err), scheduled(err):
		return "", fault.Busy(clean(ctx, err))
	case err != nil:
		return "", err
	}
	return aws.ToString(put.VersionId), nil
}

// put is PutSecretValue. A secret has about 100 versions, and AWS removes none that is
// younger than a day (user guide, "AWS Secrets Manager quotas"): too many changes in a
// day are fault.RateLimited, and no throttling by AWS, for which the SDK takes them.
func (v *Vault) put(ctx context.Context, in *secretsmanager.PutSecretValueInput) (*secretsmanager.PutSecretValueOutput, error) {
	out, err := v.api.PutSecretValue(ctx, in)
	if is[*types.LimitExceededException](err) {
		return nil, connection.ErrTooManyVersions(redact(err))
	}
	return out, err
}

// Get reads the credentials of a version that Create or Stage returned. It returns
// fault.NotFound when the secret or the version is gone, or the secret is scheduled
// for deletion; anything else, such as a malformed secret, is fault.Internal.
func (v *Vault) Get(ctx context.Context, accountID int64, connectionID, version string) (connection.Credentials, error) {
	if version == "" { // AWS would read whatever is current
		return connection.Credentials{}, connection.ErrNoCredentials(nil)
	}
	name := v.name(accountID, connectionID)
	out, err := v.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name, VersionId: &version})
	switch {
	case missing(err), scheduled(err):
		return connection.Credentials{}, connection.ErrNoCredentials(clean(ctx, err))
	case err != nil:
		return connection.Credentials{}, fmt.Errorf("reading credentials: %w", clean(ctx, err))
	}
	c, err := decode(out.SecretString)
	if err != nil {
		return connection.Credentials{}, fmt.Errorf("reading credentials: %w", err)
	}
	return c, nil
}

func exists(err error) bool { return is[*types.ResourceExistsException](err) }

func missing(err error) bool { return is[*types.ResourceNotFoundException](err) }

// scheduled reports whether the secret may be scheduled for deletion. AWS returns the
// same error for other states, which differ only in the text.
func scheduled(err error) bool { return is[*types.InvalidRequestException](err) }

// invalid reports whether a parameter was refused; for a label this means that
// another version holds it, or none.
func invalid(err error) bool { return is[*types.InvalidParameterException](err) }

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
