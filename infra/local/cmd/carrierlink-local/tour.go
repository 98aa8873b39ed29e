package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// tour shows what else a partner does with the account of the main job. It fails when an answer does not have the status
// that the step demonstrates.
func tour(ctx context.Context, out io.Writer, api string, keys partnerKeys, account mainAccount) error {
	c := client{out: out, api: api, lines: shortAnswer}
	step := func(want int, r request, answer any) (etag string, err error) {
		status, etag, err := c.send(ctx, r, answer)
		if err != nil {
			return "", fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
		if status != want {
			return "", fmt.Errorf("%s %s answered %d, not %d", r.method, r.path, status, want)
		}
		return etag, nil
	}
	const accounts = "/v1/partners/accounts"
	accountPath := accounts + "/" + account.id
	partner, merchant := [2]string{"API-Key", keys.production}, [2]string{"API-Key", account.key}

	etag, err := step(http.StatusOK, request{
		title:  "4. The partner finds the account by its own id. The ETag of the answer identifies this version of the account.",
		method: http.MethodGet, path: accounts + "/external_account_id/" + url.PathEscape(account.externalID),
		headers: [][2]string{partner},
	}, nil)
	if err != nil {
		return err
	}
	var key struct {
		APIKeyID        json.Number `json:"api_key_id"`
		EncryptedAPIKey string      `json:"encrypted_api_key"`
	}
	for _, s := range []struct {
		want int
		request
		answer any
	}{
		{http.StatusOK, request{
			title:  "5. The partner lists its accounts, newest first.",
			method: http.MethodGet, path: accounts + "?active=true&page_size=5",
			headers: [][2]string{partner},
		}, nil},
		{http.StatusOK, request{
			title:  "6. The partner changes the account. If someone else had changed it since step 4, this would be a 412.",
			method: http.MethodPatch, path: accountPath,
			headers: [][2]string{partner, {"If-Match", etag}, {"Idempotency-Key", "demo-change"}},
			body:    `{"company_name":"Acme Parcels Pty Ltd","metadata":{"plan":"gold"}}`,
		}, nil},
		{http.StatusOK, request{
			title:  "7. The partner creates another key for the merchant, which may only read.",
			method: http.MethodPost, path: accountPath + "/api_keys",
			headers: [][2]string{partner, {"Idempotency-Key", "demo-key"}},
			body:    `{"description":"Reporting","scopes":["read"]}`,
		}, &key},
	} {
		if _, err := step(s.want, s.request, s.answer); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		want int
		request
	}{
		{http.StatusForbidden, request{
			title:  "8. That key cannot link a carrier.",
			method: http.MethodPost, path: "/v1/connections/carriers/startrack",
			headers: [][2]string{{"API-Key", key.EncryptedAPIKey}}, body: `{}`,
		}},
		{http.StatusOK, request{
			title:  "9. The partner rotates the key. The answer has the new one; the old one works for another hour.",
			method: http.MethodPost, path: accountPath + "/api_keys/" + key.APIKeyID.String() + "/rotate",
			headers: [][2]string{partner, {"Idempotency-Key", "demo-rotate"}}, body: `{"grace_period_seconds":3600}`,
		}},
		{http.StatusOK, request{
			title:  "10. The merchant lists the carriers that can be linked, with the fields of a form for each.",
			method: http.MethodGet, path: "/v1/connections/carriers", headers: [][2]string{merchant},
		}},
		{http.StatusOK, request{
			title:  "11. The merchant lists the linked carriers, in ShipEngine's shape.",
			method: http.MethodGet, path: "/v1/carriers", headers: [][2]string{merchant},
		}},
		{http.StatusNoContent, request{
			title:  "12. The partner disables the account.",
			method: http.MethodPut, path: accountPath + "/disable", headers: [][2]string{partner},
		}},
		{http.StatusForbidden, request{
			title:  "13. Its keys are refused at once.",
			method: http.MethodGet, path: "/v1/carriers", headers: [][2]string{merchant},
		}},
		{http.StatusNoContent, request{
			title:  "14. The partner enables the account again.",
			method: http.MethodPut, path: accountPath + "/enable", headers: [][2]string{partner},
		}},
	} {
		if _, err := step(s.want, s.request, nil); err != nil {
			return err
		}
	}
	return nil
}
