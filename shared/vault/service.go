package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// ServiceSecret is the service's own secret.
type ServiceSecret struct {
	api Getter
	id  string
}

// NewServiceSecret makes a ServiceSecret from a secret's name or ARN, without reading
// it.
func NewServiceSecret(client Getter, id string) *ServiceSecret {
	return &ServiceSecret{api: client, id: id}
}

// Read reads the secret, with one call. A failure, such as an absent secret, is
// fault.Internal.
func (s *ServiceSecret) Read(ctx context.Context) (secret.Text, error) {
	out, err := s.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.id})
	if err != nil {
		return secret.Text{}, clean(ctx, err)
	}
	return secret.New(aws.ToString(out.SecretString)), nil
}

// Replacer is what replacing the service secret calls of the Secrets Manager client.
type Replacer interface {
	Getter
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
}

// ReplacedSecret is the service secret for the function that replaces it.
type ReplacedSecret struct {
	api Replacer
	id  string
}

// NewReplacedSecret is NewServiceSecret for the function that replaces it.
func NewReplacedSecret(client Replacer, id string) *ReplacedSecret {
	return &ReplacedSecret{api: client, id: id}
}

// Replace writes what next makes of the secret. Of two that read the same version only
// one writes: AWS ties the request token, which follows from that version, to one value
// (API reference, "PutSecretValue", ClientRequestToken). The other one is fault.State
// with RetryAfter; anything else is fault.Internal, or the error of next.
func (s *ReplacedSecret) Replace(ctx context.Context, next func(secret.Text) (secret.Text, error)) error {
	old, err := s.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.id})
	if err != nil {
		return fmt.Errorf("reading the service secret: %w", clean(ctx, err))
	}
	made, err := next(secret.New(aws.ToString(old.SecretString)))
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte("replaces\x00" + aws.ToString(old.VersionId)))
	_, err = s.api.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &s.id, ClientRequestToken: aws.String(hex.EncodeToString(sum[:])), SecretString: aws.String(made.Reveal()),
	})
	if exists(err) {
		err = fault.Busy(clean(ctx, err))
	}
	if err != nil {
		return fmt.Errorf("writing the service secret: %w", clean(ctx, err))
	}
	return nil
}
