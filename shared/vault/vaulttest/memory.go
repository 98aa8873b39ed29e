package vaulttest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"carrierlink/shared/vault"
)

const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	pending  = "AWSPENDING"
)

// Memory is the part of Secrets Manager that the vault calls, in memory and as AWS
// documents it: a request token belongs to one value forever, a repeat with the same
// value changes nothing, and a label is on one version at a time. The emulators are less
// strict. Where AWS leaves a choice, Memory makes the one that is worse for the vault;
// its fields, set before the first call, choose the other one. vault.New over it is a
// vault for unit tests. It is safe for concurrent use.
type Memory struct {
	// KeepsUnlabelled keeps versions without a label, as AWS does for a day at least,
	// instead of deleting them with their last label.
	KeepsUnlabelled bool
	// EndsPending takes AWSPENDING from a version that gets AWSCURRENT, as the user guide
	// says ("Lambda rotation functions", finishSecret). AWS has been seen to leave it.
	EndsPending bool
	// Now is time.Now if it is nil. It only matters to MaxVersions.
	Now func() time.Time

	mu      sync.Mutex
	secrets map[string]*memorySecret
}

// MaxVersions is how many versions of a secret Memory makes in 24 hours (user guide, "AWS
// Secrets Manager quotas": AWS keeps about 100, and removes none that is younger).
const MaxVersions = 100

type memorySecret struct {
	made    []time.Time       // when versions were made, in the last 24 hours
	values  map[string]string // by version
	holders map[string]string // the version of each label
	window  int64             // days until it is deleted, 0 for never
}

var _ vault.API = (*Memory)(nil)

// NewMemory makes an empty Memory.
func NewMemory() *Memory { return &Memory{} }

func refuse(message string) error {
	return &types.InvalidParameterException{Message: &message}
}

func notFound() error {
	return &types.ResourceNotFoundException{Message: aws.String("Secrets Manager can't find the specified secret or version.")}
}

func checkToken(token *string) error {
	if n := len(aws.ToString(token)); n < 32 || n > 64 {
		return refuse("ClientRequestToken must have 32 to 64 characters.")
	}
	return nil
}

// find is a secret that is not scheduled for deletion.
func (m *Memory) find(id *string) (*memorySecret, error) {
	s := m.secrets[aws.ToString(id)]
	switch {
	case s == nil:
		return nil, notFound()
	case s.window > 0:
		return nil, &types.InvalidRequestException{Message: aws.String("The secret was marked for deletion.")}
	}
	return s, nil
}

func (m *Memory) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

// labels are the labels of a version, sorted.
func (s *memorySecret) labels(version string) []string {
	var all []string
	for label, holder := range s.holders {
		if holder == version {
			all = append(all, label)
		}
	}
	slices.Sort(all)
	return all
}

// label gives a label to a version, and takes it from any other.
func (m *Memory) label(s *memorySecret, label, version string) {
	old, held := s.holders[label]
	s.holders[label] = version
	if label == current && held && old != version {
		s.holders[previous] = old
	}
	if label == current && m.EndsPending && s.holders[pending] == version {
		delete(s.holders, pending)
	}
	m.drop(s)
}

// drop deletes the versions without a label.
func (m *Memory) drop(s *memorySecret) {
	if m.KeepsUnlabelled {
		return
	}
	for version := range s.values {
		if len(s.labels(version)) == 0 {
			delete(s.values, version)
		}
	}
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
		if m.secrets == nil {
			m.secrets = map[string]*memorySecret{}
		}
		m.secrets[aws.ToString(in.Name)] = &memorySecret{made: []time.Time{m.now()}, values: map[string]string{token: text}, holders: map[string]string{current: token}}
		return out, nil
	}
	if s.window > 0 {
		return nil, &types.InvalidRequestException{Message: aws.String("A secret with this name is already scheduled for deletion.")}
	}
	if old, known := s.values[token]; known && old == text {
		return out, nil
	}
	return nil, &types.ResourceExistsException{Message: aws.String("The secret already exists.")}
}

// GetSecretValue reads a version, the current one if none is named.
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
	version := s.holders[current]
	if in.VersionId != nil {
		version = *in.VersionId
	}
	text, known := s.values[version]
	if !known {
		return nil, notFound()
	}
	return &secretsmanager.GetSecretValueOutput{
		Name: in.SecretId, SecretString: &text, VersionId: &version, VersionStages: s.labels(version),
	}, nil
}

// DescribeSecret lists the versions that have labels, even of a secret that is
// scheduled for deletion.
func (m *Memory) DescribeSecret(ctx context.Context, in *secretsmanager.DescribeSecretInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.secrets[aws.ToString(in.SecretId)]
	if s == nil {
		return nil, notFound()
	}
	out := &secretsmanager.DescribeSecretOutput{Name: in.SecretId, VersionIdsToStages: map[string][]string{}}
	for _, version := range s.holders {
		out.VersionIdsToStages[version] = s.labels(version)
	}
	if s.window > 0 {
		out.DeletedDate = aws.Time(time.Unix(0, 0).AddDate(0, 0, int(s.window)))
	}
	return out, nil
}

// PutSecretValue adds a version with the labels asked for, or makes it the
// current one.
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
	old, known := s.values[token]
	if known && old != text {
		return nil, &types.ResourceExistsException{Message: aws.String("The version exists with another value.")}
	}
	if !known {
		s.made = slices.DeleteFunc(s.made, func(at time.Time) bool { return m.now().Sub(at) >= 24*time.Hour })
		if len(s.made) >= MaxVersions {
			return nil, &types.LimitExceededException{Message: aws.String("You can't create more versions of this secret.")}
		}
		s.made = append(s.made, m.now())
		s.values[token] = text
		labels := in.VersionStages
		if len(labels) == 0 {
			labels = []string{current}
		}
		for _, label := range labels {
			m.label(s, label, token)
		}
	}
	return &secretsmanager.PutSecretValueOutput{Name: in.SecretId, VersionId: &token, VersionStages: s.labels(token)}, nil
}

// UpdateSecretVersionStage moves a label, or takes it away.
func (m *Memory) UpdateSecretVersionStage(ctx context.Context, in *secretsmanager.UpdateSecretVersionStageInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	label, to, from := aws.ToString(in.VersionStage), aws.ToString(in.MoveToVersionId), aws.ToString(in.RemoveFromVersionId)
	for _, version := range []string{to, from} {
		if _, known := s.values[version]; version != "" && !known {
			return nil, notFound()
		}
	}
	holder := s.holders[label]
	switch {
	case label == "" || to == "" && from == "":
		return nil, refuse("VersionStage, and MoveToVersionId or RemoveFromVersionId, are required.")
	case from != "" && from != holder:
		return nil, refuse("RemoveFromVersionId does not have the staging label.")
	case from == "" && holder != "" && holder != to:
		return nil, refuse("RemoveFromVersionId must name the version that has the staging label.")
	case to == "" && label == current:
		return nil, refuse("AWSCURRENT can only be moved.")
	}
	if to == "" {
		delete(s.holders, label)
		m.drop(s)
	} else {
		m.label(s, label, to)
	}
	return &secretsmanager.UpdateSecretVersionStageOutput{Name: in.SecretId}, nil
}

// DeleteSecret schedules a deletion, or deletes without a recovery window.
func (m *Memory) DeleteSecret(ctx context.Context, in *secretsmanager.DeleteSecretInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.DeleteSecretOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	window := int64(30)
	if in.RecoveryWindowInDays != nil {
		window = *in.RecoveryWindowInDays
	}
	out := &secretsmanager.DeleteSecretOutput{Name: in.SecretId}
	switch {
	case window < 7 || window > 30:
		return nil, refuse("RecoveryWindowInDays must be between 7 and 30 days.")
	case aws.ToBool(in.ForceDeleteWithoutRecovery) && in.RecoveryWindowInDays != nil:
		return nil, refuse("ForceDeleteWithoutRecovery and RecoveryWindowInDays exclude each other.")
	case aws.ToBool(in.ForceDeleteWithoutRecovery):
		delete(m.secrets, aws.ToString(in.SecretId))
		return out, nil
	}
	s, err := m.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	s.window = window
	return out, nil
}

// RestoreSecret cancels a scheduled deletion.
func (m *Memory) RestoreSecret(ctx context.Context, in *secretsmanager.RestoreSecretInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.RestoreSecretOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.secrets[aws.ToString(in.SecretId)]
	switch {
	case s == nil:
		return nil, notFound()
	case s.window == 0:
		return nil, &types.InvalidRequestException{Message: aws.String("The secret is not scheduled for deletion.")}
	}
	s.window = 0
	return &secretsmanager.RestoreSecretOutput{Name: in.SecretId}, nil
}
