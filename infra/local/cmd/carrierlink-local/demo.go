package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// The most lines of an answer that are printed, in the main job and in the tour.
const (
	longAnswer  = 60
	shortAnswer = 16
)

// client makes requests, and prints each as a curl command that can be pasted, with its answer.
type client struct {
	out   io.Writer
	api   string
	lines int // printed of each answer
}

type request struct {
	title, method, path string
	headers             [][2]string
	body                string
}

// mainAccount is the account that the main job creates.
type mainAccount struct {
	id         string
	key        string // the merchant's
	externalID string
}

// What the demo's merchant signs in to the account page with.
const (
	merchantEmail    = "jane@example.com"
	merchantPassword = "seven green kettles"
)

// mainJob creates a merchant's account, links its charge account and reads that back. It returns "create-account 200" and
// so on, and an error for an answer other than 200. Because of the idempotency keys a pasted command gets the same answer
// again; without them a second account or connection would be a conflict.
func mainJob(ctx context.Context, out io.Writer, api string, keys partnerKeys) (_ mainAccount, results []string, _ error) {
	c := client{out: out, api: api, lines: longAnswer}
	step := func(name string, r request, answer any) error {
		status, _, err := c.send(ctx, r, answer)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		results = append(results, fmt.Sprintf("%s %d", name, status))
		if status != http.StatusOK {
			return fmt.Errorf("%s answered %d, not 200", name, status)
		}
		return nil
	}

	made := mainAccount{externalID: "merchant-1"}
	var account struct {
		AccountID json.Number `json:"account_id"`
		APIKey    struct {
			EncryptedAPIKey string `json:"encrypted_api_key"`
		} `json:"api_key"`
	}
	if err := step("create-account", request{
		title:  "1. The partner creates an account for a merchant. Only this answer shows the merchant's key.",
		method: http.MethodPost, path: "/v1/partners/accounts",
		headers: [][2]string{{"API-Key", keys.production}, {"Idempotency-Key", "demo-account"}},
		body: `{"first_name":"Jane","last_name":"Citizen","company_name":"Acme Parcels",` +
			`"external_account_id":"` + made.externalID + `","origin_country_code":"AU","email":"` + merchantEmail + `","password":"` + merchantPassword + `"}`,
	}, &account); err != nil {
		return made, results, err
	}
	made.id, made.key = account.AccountID.String(), account.APIKey.EncryptedAPIKey
	merchant := [2]string{"API-Key", made.key}

	var connection struct {
		CarrierID string `json:"carrier_id"`
	}
	if err := step("link-carrier", request{
		title:  "2. The merchant links an Australia Post account. The service asks Australia Post before it stores anything.",
		method: http.MethodPost, path: "/v1/connections/carriers/australia_post",
		headers: [][2]string{merchant, {"Idempotency-Key", "demo-link"}},
		body: `{"nickname":"Our charge account","account_number":"0000123400",` +
			`"api_key":"6d8c1c0e-52c4-4f4e-9a3c-2f1f7a3f1b55","api_secret":"xH7nQ2mWp4Rt"}`,
	}, &connection); err != nil {
		return made, results, err
	}
	err := step("get-carrier-account", request{
		title:  "3. The merchant reads the charge account back, with the contract as Australia Post sent it.",
		method: http.MethodGet, path: "/v1/carriers/" + connection.CarrierID + "/account",
		headers: [][2]string{merchant},
	}, nil)
	return made, results, err
}

// send makes a request, prints it and its answer, and decodes a 200 into answer unless answer is nil.
func (c client) send(ctx context.Context, r request, answer any) (status int, etag string, err error) {
	if r.body != "" {
		r.headers = append(r.headers, [2]string{"Content-Type", "application/json"})
	}
	fmt.Fprintf(c.out, "\n%s\n\n%s\n\n", r.title, c.curl(r))

	req, err := http.NewRequestWithContext(ctx, r.method, c.api+r.path, strings.NewReader(r.body))
	if err != nil {
		return 0, "", err
	}
	for _, header := range r.headers {
		req.Header.Set(header[0], header[1])
	}
	start := time.Now()
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", err
	}
	took := time.Since(start)

	fmt.Fprintf(c.out, "  %s in %d ms\n", response.Status, took.Milliseconds())
	if len(text) > 0 {
		fmt.Fprintf(c.out, "  %s\n", readable(text, c.lines))
	}
	if answer != nil && response.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, answer); err != nil {
			return 0, "", fmt.Errorf("reading the answer: %w", err)
		}
	}
	return response.StatusCode, response.Header.Get("ETag"), nil
}

// readable indents an answer in JSON, one member a line, and cuts it after limit lines.
func readable(text []byte, limit int) string {
	var pretty bytes.Buffer
	if json.Indent(&pretty, text, "  ", "  ") != nil {
		return string(text)
	}
	lines := strings.Split(strings.TrimSpace(pretty.String()), "\n")
	if len(lines) <= limit {
		return strings.Join(lines, "\n")
	}
	return strings.Join(lines[:limit], "\n") + fmt.Sprintf("\n  … and %d more lines", len(lines)-limit)
}

// curl returns the request as a shell command.
func (c client) curl(r request) string {
	parts := []string{"curl -i " + quote(c.api+r.path)}
	if r.method != http.MethodGet && r.method != http.MethodPost {
		parts[0] = "curl -i -X " + r.method + " " + quote(c.api+r.path)
	}
	for _, header := range r.headers {
		parts = append(parts, "-H "+quote(header[0]+": "+header[1]))
	}
	if r.body != "" {
		parts = append(parts, "-d "+quote(r.body))
	}
	return "  " + strings.Join(parts, " \\\n    ")
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
