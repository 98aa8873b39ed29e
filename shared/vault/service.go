package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/secret"
)

// ServiceSecret is the service's own secret: read when it is first needed, and
// kept for the life of the process. It is safe for concurrent use.
type ServiceSecret struct {
	api  Getter
	id   string
	turn chan struct{} // held while reading, so that one call serves all
	text secret.Text
}

// NewServiceSecret makes one over a secret's name or ARN; nothing is read yet.
func NewServiceSecret(client Getter, id string) *ServiceSecret {
	return &ServiceSecret{api: client, id: id, turn: make(chan struct{}, 1)}
}

// Read returns the secret. A failure, such as a secret that is absent or empty,
// is fault.Internal; it is not kept, the next Read tries again.
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
		return secret.Text{}, fmt.Errorf("reading the service secret: %w", clean(err))
	}
	if out.SecretString == nil || *out.SecretString == "" {
		return secret.Text{}, errors.New("the service secret is empty")
	}
	s.text = secret.New(*out.SecretString)
	return s.text, nil
}
