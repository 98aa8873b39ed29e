package vaulttest

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// Memory is the part of Secrets Manager that the vault calls, in memory and as
// AWS documents it: a request token stands for one value for good, a repeat with
// the same value changes nothing. The emulators are laxer there. vault.New over
// it is a vault for unit tests. It is safe for concurrent use.
type Memory struct {
	mu      sync.Mutex
	secrets map[string]*secret
}

type secret struct {
	versions map[string]string // value by token
	current  string            // token of the current version
	deleted  bool
}

var _ API = (*Memory)(nil)

// NewMemory makes an empty one.
func NewMemory() *Memory { return &Memory{secrets: map[string]*secret{}} }

func checkToken(token *string) error {
	if n := len(aws.ToString(token)); n < 32 || n > 64 {
		return &types.InvalidParameterException{Message: aws.String("ClientRequestToken must have 32 to 64 characters.")}
	}
	return nil
}

// find is a secret that is not scheduled for deletion.
func (m *Memory) find(id *string) (*secret, error) {
	s := m.secrets[aws.ToString(id)]
	switch {
	case s == nil:
		return nil, &types.ResourceNotFoundException{Message: aws.String("Secrets Manager can't find the specified secret.")}
	case s.deleted:
		return nil, &types.InvalidRequestException{Message: aws.String("The secret was marked for deletion.")}
	}
	return s, nil
}

// CreateSecret makes a secret.
func (m *Memory) CreateSecret(ctx context.Context, in *secretsmanager.CreateSecretInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := &secretsmanager.CreateSecretOutput{Name: in.Name, VersionId: in.ClientRequestToken}
	token, text := *in.ClientRequestToken, aws.ToString(in.SecretString)
	s := m.secrets[aws.ToString(in.Name)]
	if s == nil {
		m.secrets[aws.ToString(in.Name)] = &secret{versions: map[string]string{token: text}, current: token}
		return out, nil
	}
	if s.deleted {
		return nil, &types.InvalidRequestException{Message: aws.String("A secret with this name is already scheduled for deletion.")}
	}
	if old, known := s.versions[token]; known && old == text {
		return out, nil
	}
	return nil, &types.ResourceExistsException{Message: aws.String("The secret already exists.")}
}

// GetSecretValue reads the current version.
func (m *Memory) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	return &secretsmanager.GetSecretValueOutput{
		Name: in.SecretId, SecretString: aws.String(s.versions[s.current]), VersionId: aws.String(s.current),
	}, nil
}

// PutSecretValue makes a new version the current one.
func (m *Memory) PutSecretValue(ctx context.Context, in *secretsmanager.PutSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	token, text := *in.ClientRequestToken, aws.ToString(in.SecretString)
	old, known := s.versions[token]
	if known && old != text {
		return nil, &types.ResourceExistsException{Message: aws.String("The version exists with another value.")}
	}
	if !known {
		s.versions[token], s.current = text, token
	}
	return &secretsmanager.PutSecretValueOutput{Name: in.SecretId, VersionId: in.ClientRequestToken}, nil
}

// RestoreSecret calls a deletion off.
func (m *Memory) RestoreSecret(ctx context.Context, in *secretsmanager.RestoreSecretInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.RestoreSecretOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.secrets[aws.ToString(in.SecretId)]
	if s == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Secrets Manager can't find the specified secret.")}
	}
	s.deleted = false
	return &secretsmanager.RestoreSecretOutput{Name: in.SecretId}, nil
}

// DeleteSecret schedules a deletion.
func (m *Memory) DeleteSecret(ctx context.Context, in *secretsmanager.DeleteSecretInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.DeleteSecretOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	s.deleted = true
	return &secretsmanager.DeleteSecretOutput{Name: in.SecretId}, nil
}
