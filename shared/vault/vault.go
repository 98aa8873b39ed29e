// Package vault keeps carrier credentials in AWS Secrets Manager: one secret
// per connection, under a name that follows from the connection. It never puts
// secret text into an error: of what the service says only the error code gets
// out, because its messages may quote the request. A call that AWS throttles is
// fault.Overloaded with RetryAfter, of whatever method; what a method calls
// "anything else" is the rest.
//
// Credentials are written and read by version. The connection's row says which
// version counts; the labels AWSCURRENT, AWSPREVIOUS and AWSPENDING only keep
// AWS from dropping versions that are still wanted (API reference,
// "DescribeSecret", VersionIdsToStages: one without a label is deprecated and can
// be deleted), and follow the row.
package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"carrierlink/shared/connection"
	"carrierlink/shared/secret"
)

// Getter reads a secret: all that a reader needs of the client.
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
}

// New makes a vault whose secrets are named prefix, account id, "/" and
// carrier_id; the prefix ends with a slash.
func New(client API, prefix string) *Vault { return &Vault{api: client, prefix: prefix} }

func (v *Vault) name(accountID int64, connectionID string) string {
	return v.prefix + strconv.FormatInt(accountID, 10) + "/" + connectionID
}

// record is the form of the secret. The members are plain text: it must not be
// printed.
type record struct {
	APIKey    string `json:"api_key"`
	APISecret string `json:"api_secret"`
}

func encode(c connection.Credentials) (string, error) {
	b, err := json.Marshal(record{c.APIKey.Reveal(), c.APISecret.Reveal()}) //nolint:gosec // on its way into Secrets Manager
	if err != nil {
		return "", errors.New("credentials can not be encoded")
	}
	return string(b), nil
}

// decode does not pass on what encoding/json says: it quotes its input.
func decode(text *string) (connection.Credentials, error) {
	var r record
	if text == nil || json.Unmarshal([]byte(*text), &r) != nil || r.APIKey == "" || r.APISecret == "" {
		return connection.Credentials{}, errors.New("the secret is not an object of api_key and api_secret")
	}
	return connection.Credentials{APIKey: secret.New(r.APIKey), APISecret: secret.New(r.APISecret)}, nil
}

// Create makes sure that the connection's current credentials are c, and returns
// the version that holds them. token, 32 to 64 characters, stands for c for good,
// other credentials need another one: AWS takes a token that came back with its
// value for a repeat, though the secret may have changed since (API reference,
// "CreateSecret" and "PutSecretValue", ClientRequestToken). The version is the
// token where AWS made it of the token, and another where a secret was there.
// The same call again changes nothing and returns the same version, whether or
// not the first one's answer arrived. Where a secret is there already, left by a
// request that died, its value becomes c; one that is scheduled for deletion is
// restored first.
//
// It returns fault.State with RetryAfter when another request changes the
// secret at the same time; anything else is fault.Internal.
func (v *Vault) Create(ctx context.Context, accountID int64, connectionID, token string, c connection.Credentials) (version string, err error) {
	name := v.name(accountID, connectionID)
	text, err := encode(c)
	if err != nil {
		return "", err
	}
	out, err := v.api.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: &name, ClientRequestToken: &token, SecretString: &text,
	})
	if err == nil {
		return aws.ToString(out.VersionId), nil
	}
	if exists(err) || scheduled(err) {
		version, err = v.replace(ctx, name, token, text, c, err)
	}
	if err != nil {
		return "", fmt.Errorf("storing credentials: %w", clean(err))
	}
	return version, nil
}

// replace makes c the current value of a secret that is there, or scheduled for
// deletion, as the answer to CreateSecret says, and returns its version. AWS ties
// a request token to one value for good, so the new value's token is made of
// token and of the version that it replaces: a repeat has the same one, and no
// other change does.
func (v *Vault) replace(ctx context.Context, name, token, text string, c connection.Credentials, created error) (string, error) {
	read := &secretsmanager.GetSecretValueInput{SecretId: &name}
	now, err := v.api.GetSecretValue(ctx, read)
	if scheduled(err) {
		if _, err = v.api.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &name}); err == nil {
			now, err = v.api.GetSecretValue(ctx, read)
		}
	}
	switch {
	case missing(err) && scheduled(created):
		return "", created // so it was not about a deletion
	case missing(err), scheduled(err): // somebody deletes it right now
		return "", connection.ErrSecretBusy(clean(err))
	case err != nil:
		return "", err
	}
	if stored, err := decode(now.SecretString); err == nil && stored.Equal(c) {
		return aws.ToString(now.VersionId), nil
	}
	sum := sha256.Sum256([]byte(token + "\x00" + aws.ToString(now.VersionId)))
	put, err := v.api.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &name, ClientRequestToken: aws.String(hex.EncodeToString(sum[:])), SecretString: &text,
	})
	switch {
	case exists(err), missing(err), scheduled(err):
		return "", connection.ErrSecretBusy(clean(err))
	case err != nil:
		return "", err
	}
	return aws.ToString(put.VersionId), nil
}

// Get reads the credentials of a version that Create or Stage returned. It
// returns fault.NotFound when there is no secret, one that is scheduled for
// deletion, or no such version; a secret of another form is fault.Internal, and
// so is anything else.
func (v *Vault) Get(ctx context.Context, accountID int64, connectionID, version string) (connection.Credentials, error) {
	if version == "" { // AWS would read whatever is current
		return connection.Credentials{}, connection.ErrNoCredentials(nil)
	}
	name := v.name(accountID, connectionID)
	out, err := v.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name, VersionId: &version})
	switch {
	case missing(err), scheduled(err):
		return connection.Credentials{}, connection.ErrNoCredentials(clean(err))
	case err != nil:
		return connection.Credentials{}, fmt.Errorf("reading credentials: %w", clean(err))
	}
	c, err := decode(out.SecretString)
	if err != nil {
		return connection.Credentials{}, fmt.Errorf("reading credentials: %w", err)
	}
	return c, nil
}

func exists(err error) bool {
	var e *types.ResourceExistsException
	return errors.As(err, &e)
}

// scheduled tells whether the secret may be scheduled for deletion. AWS uses
// the one error for other states too, and tells them apart by text only.
func scheduled(err error) bool {
	var e *types.InvalidRequestException
	return errors.As(err, &e)
}

func missing(err error) bool {
	var e *types.ResourceNotFoundException
	return errors.As(err, &e)
}

// invalid tells whether a parameter was refused; with a label, because another
// version holds it, or none.
func invalid(err error) bool {
	var e *types.InvalidParameterException
	return errors.As(err, &e)
}
