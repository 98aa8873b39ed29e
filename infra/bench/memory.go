package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/lambdaproc"
	"carrierlink/shared/account"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
)

const (
	table        = "bench"
	accountsPath = "/v1/partners/accounts"
)

// problems passes on the lines of a function's log, except those that carry metrics only: these are written at every
// LOG_LEVEL, and many requests make many of them.
type problems struct {
	to   io.Writer
	rest []byte // the beginning of a line
}

func (p *problems) Write(text []byte) (int, error) {
	p.rest = append(p.rest, text...)
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		p.rest = rest
		if !bytes.Contains(line, []byte(`"msg":"metrics"`)) {
			fmt.Fprintf(p.to, "%s\n", line)
		}
	}
}

// peak is the peak memory of a function.
type peak struct {
	name     string
	requests int
	kib      int64
}

// memory sends many requests to each function, on DynamoDB Local and MiniStack,
// and reads the peak memory of its process.
func memory(ctx context.Context, root string, files map[string]string) ([]peak, error) {
	db, err := emulator.StartDynamoDBLocal(ctx, emulator.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Stop() }()
	sm, err := emulator.StartMiniStack(ctx, emulator.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = sm.Stop() }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	carrierServer := &http.Server{Handler: simulator.NewHandler(time.Now), ReadHeaderTimeout: time.Minute}
	go func() { _ = carrierServer.Serve(listener) }()
	defer func() { _ = carrierServer.Close() }()
	env, err := environment(root, db.URL, sm.URL, "http://"+listener.Addr().String()+"/shipping/v1")
	if err != nil {
		return nil, err
	}
	partnerKey, err := prepare(ctx, db.URL, sm.URL)
	if err != nil {
		return nil, err
	}

	const requests = 200
	var peaks []peak
	measure := func(name string, event func(i int) events.APIGatewayProxyRequest, answer func(body string) error) error {
		p, _, err := lambdaproc.Start(ctx, files[name], env, &problems{to: os.Stderr})
		if err != nil {
			return err
		}
		defer p.Kill()
		for i := range requests {
			var resp events.APIGatewayProxyResponse
			if err := p.Invoke(event(i), time.Now().Add(28*time.Second), &resp); err != nil {
				return err
			}
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s answers %d: %s", name, resp.StatusCode, resp.Body)
			}
			if err := answer(resp.Body); err != nil {
				return err
			}
		}
		kib, err := p.PeakKiB()
		peaks = append(peaks, peak{name, requests, kib})
		return err
	}

	var accountIDs, merchantKeys, carrierIDs []string
	err = measure("create-account", func(i int) events.APIGatewayProxyRequest {
		return request(http.MethodPost, accountsPath, nil, partnerKey,
			fmt.Sprintf(`{"external_account_id":"m-%d","email":"m%d@example.com","password":"a long password"}`, i, i))
	}, func(body string) error {
		var a struct {
			AccountID int64 `json:"account_id"`
			APIKey    struct {
				EncryptedAPIKey string `json:"encrypted_api_key"`
			} `json:"api_key"`
		}
		err := json.Unmarshal([]byte(body), &a)
		accountIDs = append(accountIDs, strconv.FormatInt(a.AccountID, 10))
		merchantKeys = append(merchantKeys, a.APIKey.EncryptedAPIKey)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = measure("link-carrier", func(i int) events.APIGatewayProxyRequest {
		return request(http.MethodPost, "/v1/connections/carriers/{carrier_name}", map[string]string{"carrier_name": "australia_post"}, merchantKeys[i],
			`{"nickname":"Main","account_number":"0000123400","api_key":"11111111-2222-4333-8444-555555555555","api_secret":"xa1b2c3d4e5f60718293"}`)
	}, func(body string) error {
		var a struct {
			CarrierID string `json:"carrier_id"`
		}
		err := json.Unmarshal([]byte(body), &a)
		carrierIDs = append(carrierIDs, a.CarrierID)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = measure("get-carrier-account", func(i int) events.APIGatewayProxyRequest {
		e := request(http.MethodGet, "/v1/carriers/{carrier_id}/account", map[string]string{"carrier_id": carrierIDs[i]}, merchantKeys[i], "")
		e.QueryStringParameters = map[string]string{"refresh": "true"}
		return e
	}, func(string) error { return nil })
	if err != nil {
		return nil, err
	}
	// By turns: a change to the largest metadata, and a page of all accounts.
	pairs := map[string]string{}
	for i := range 20 {
		pairs[strconv.Itoa(i)] = strings.Repeat("x", 500)
	}
	metadata, err := json.Marshal(map[string]any{"metadata": pairs})
	if err != nil {
		return nil, fmt.Errorf("encoding metadata: %w", err)
	}
	err = measure("manage-accounts", func(i int) events.APIGatewayProxyRequest {
		if i%2 == 0 {
			return request(http.MethodPatch, accountsPath+"/{account_id}", map[string]string{"account_id": accountIDs[i]}, partnerKey, string(metadata))
		}
		e := request(http.MethodGet, accountsPath, nil, partnerKey, "")
		e.QueryStringParameters = map[string]string{"page_size": "500"}
		return e
	}, func(string) error { return nil })
	if err != nil {
		return nil, err
	}
	// By turns: a new key, its rotation, the list of keys.
	var keyID int64
	err = measure("manage-api-keys", func(i int) events.APIGatewayProxyRequest {
		const keysPath = accountsPath + "/{account_id}/api_keys"
		params := map[string]string{"account_id": accountIDs[i/3]}
		switch i % 3 {
		case 0:
			return request(http.MethodPost, keysPath, params, partnerKey, `{"description":"Reporting","scopes":["read"]}`)
		case 1:
			params["api_key_id"] = strconv.FormatInt(keyID, 10)
			return request(http.MethodPost, keysPath+"/{api_key_id}/rotate", params, partnerKey, "")
		}
		return request(http.MethodGet, keysPath, params, partnerKey, "")
	}, func(body string) error {
		var a struct {
			APIKeyID int64 `json:"api_key_id"`
		}
		err := json.Unmarshal([]byte(body), &a)
		keyID = a.APIKeyID
		return err
	})
	if err != nil {
		return nil, err
	}
	err = measure("list-carriers", func(i int) events.APIGatewayProxyRequest {
		return request(http.MethodGet, "/v1/carriers", nil, merchantKeys[i], "")
	}, func(string) error { return nil })
	if err != nil {
		return nil, err
	}
	// By turns: a page of events, a page of the audit log.
	err = measure("list-events", func(i int) events.APIGatewayProxyRequest {
		path := "/v1/events"
		if i%2 == 1 {
			path = "/v1/audit_log"
		}
		e := request(http.MethodGet, path, nil, partnerKey, "")
		e.QueryStringParameters = map[string]string{"page_size": "500"}
		return e
	}, func(string) error { return nil })
	if err != nil {
		return nil, err
	}
	err = measure("describe-api", func(int) events.APIGatewayProxyRequest {
		return request(http.MethodGet, "/v1/openapi.json", nil, "", "")
	}, func(string) error { return nil })
	return peaks, err
}

func request(method, resource string, params map[string]string, key, body string) events.APIGatewayProxyRequest {
	return events.APIGatewayProxyRequest{
		HTTPMethod: method, Resource: resource, Path: resource, PathParameters: params, Body: body,
		Headers: map[string]string{"API-Key": key, "Content-Type": "application/json"},
	}
}

// prepare creates the table, the service secret and a partner, and returns the
// partner's key.
func prepare(ctx context.Context, tableURL, secretsURL string) (string, error) {
	cfg := emulator.Config(tableURL)
	if err := calltrace.CreateTable(ctx, cfg, table); err != nil {
		return "", err
	}
	_, err := secretsmanager.NewFromConfig(emulator.Config(secretsURL)).CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("bench-service"), SecretString: aws.String("the service secret of the bench"),
	})
	if err != nil {
		return "", fmt.Errorf("making the service secret: %w", err)
	}
	now := time.Now()
	key, err := account.MakeKey(rand.Reader, account.APIKey{PartnerID: 7, Environment: carrier.Production, DefaultCountryCode: "AU", CreatedAt: now})
	if err != nil {
		return "", err
	}
	partner := account.Partner{ID: 7, Name: "Bench", Environment: carrier.Production, DefaultCountryCode: "AU", CreatedAt: now}
	if err := store.New(dynamodb.NewFromConfig(cfg), table, kit.Options{}).CreatePartner(ctx, partner, key.APIKey, effects.Effects{}, now); err != nil {
		return "", err
	}
	return key.Text.Reveal(), nil
}
