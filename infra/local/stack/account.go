package stack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// account makes signed calls to the emulated AWS. The local stack needs too few of them to add SDK modules.
type account struct {
	url    string
	config aws.Config
}

type call struct {
	service, method, path string
	query                 url.Values
	contentType           string
	target                string // the operation, of a service with a JSON protocol
	body                  []byte
}

func (a account) call(ctx context.Context, c call) ([]byte, error) {
	body, err := a.send(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("calling %s %s: %w", c.service, c.path, err)
	}
	return body, nil
}

func (a account) send(ctx context.Context, c call) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, c.method, a.url+c.path, bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	request.URL.RawQuery = c.query.Encode()
	if c.contentType != "" {
		request.Header.Set("Content-Type", c.contentType)
	}
	if c.target != "" {
		request.Header.Set("X-Amz-Target", c.target)
	}
	credentials, err := a.config.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(c.body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(hash[:]), c.service, a.config.Region, time.Now()); err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest || response.Header.Get("X-Amz-Function-Error") != "" {
		return nil, fmt.Errorf("%s: %s", response.Status, body)
	}
	return body, nil
}

// Invoke calls a function, named by its folder, as the operator does with IAM, and returns its answer. The error of a
// failed function has its message.
func (s *Stack) Invoke(ctx context.Context, function string, payload any) ([]byte, error) {
	name, ok := s.FunctionNames[function]
	if !ok {
		return nil, fmt.Errorf("invoking %s: there is no such function", function)
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("invoking %s: %w", function, err)
	}
	account := s.account()
	return account.call(ctx, call{
		service: "lambda", method: http.MethodPost, path: "/2015-03-31/functions/" + name + "/invocations",
		contentType: "application/json", body: body,
	})
}

// Partner is a new partner with its first key.
type Partner struct {
	ID          int64
	Name        string
	Environment string // production or sandbox
	APIKey      string
}

// CreatePartner creates a partner with the function create-partner. The environment is production or sandbox.
func (s *Stack) CreatePartner(ctx context.Context, name, environment string) (Partner, error) {
	body, err := s.Invoke(ctx, "create-partner", map[string]string{
		"name": name, "environment": environment, "default_country_code": "AU",
	})
	if err != nil {
		return Partner{}, fmt.Errorf("creating a partner: %w", err)
	}
	var answer struct {
		PartnerID   int64  `json:"partner_id"`
		Name        string `json:"name"`
		Environment string `json:"environment"`
		APIKey      struct {
			EncryptedAPIKey string `json:"encrypted_api_key"`
		} `json:"api_key"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Partner{}, fmt.Errorf("creating a partner: %w", err)
	}
	if answer.APIKey.EncryptedAPIKey == "" {
		return Partner{}, errors.New("creating a partner: the answer has no key")
	}
	return Partner{
		ID: answer.PartnerID, Name: answer.Name, Environment: answer.Environment, APIKey: answer.APIKey.EncryptedAPIKey,
	}, nil
}

// Actions returns the path of what IAM has allowed on MiniStack; see emulator.Process.
func (s *Stack) Actions() string { return s.emulator.Actions() }

// Logs returns every line that a function, named by its folder, has printed so far, in all of its processes.
func (s *Stack) Logs(_ context.Context, function string) ([]string, error) {
	name, ok := s.FunctionNames[function]
	if !ok {
		return nil, fmt.Errorf("reading the log of %s: there is no such function", function)
	}
	text, err := os.ReadFile(s.emulator.FunctionLog(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s: %w", function, err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

// EmulatorLog returns the output of the emulator itself, which includes its errors about functions.
func (s *Stack) EmulatorLog() ([]byte, error) {
	text, err := os.ReadFile(s.emulator.Log())
	if err != nil {
		return nil, fmt.Errorf("reading the emulator's log: %w", err)
	}
	return text, nil
}
