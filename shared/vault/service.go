package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/secret"
)

// ServiceSecret is the service's own secret. It is read once, when it is first
// needed, and is safe for concurrent use.
type ServiceSecret struct {
	api  Getter
	id   string
	turn chan struct{} // held while reading, so that concurrent reads make one call
	text secret.Text
}

// NewServiceSecret makes a ServiceSecret from a secret's name or ARN, without reading
// it.
func NewServiceSecret(client Getter, id string) *ServiceSecret {
	return &ServiceSecret{api: client, id: id, turn: make(chan struct{}, 1)}
}

// Read returns the secret. A failure, such as an absent or empty secret, is
// fault.Internal; the next Read tries again.
func (s *ServiceSecret) Read(ctx context.Context) (secret.Text, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return secret.Text{}, fmt.Errorf("reading the service secret: %w", ctx.Err())
	}
	if !s.text.IsZero() {
		return s.text, nil
	}
	out, err := s.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.id})
	if err != nil {
		return secret.Text{}, fmt.Errorf("reading the service secret: %w", clean(ctx, err))
	}
	if out.SecretString == nil || *out.SecretString == "" {
		return secret.Text{}, errors.New("the service secret is empty")
	}
	s.text = secret.New(*out.SecretString)
	return s.text, nil
}
