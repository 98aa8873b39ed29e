package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// tour shows what else a partner does with the account of the main job. It fails when an answer has another status than
// the one that it is there to show.
func tour(ctx context.Context, out io.Writer, api string, keys partnerKeys, account mainAccount) error {
	talk := conversation{out: out, api: api, lines: shortAnswer}
	step := func(want int, r request, answer any) (etag string, err error) {
		status, etag, err := talk.send(ctx, r, answer)
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
		title:  "4. The partner finds the account by its own id for it. The ETag of the answer names this state of the account.",
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
			title:  "5. It lists its accounts, the newest first.",
			method: http.MethodGet, path: accounts + "?active=true&page_size=5",
			headers: [][2]string{partner},
		}, nil},
		{http.StatusOK, request{
			title:  "6. It changes the account, unless somebody else did so since step 4: that would be a 412.",
			method: http.MethodPatch, path: accountPath,
			headers: [][2]string{partner, {"If-Match", etag}, {"Idempotency-Key", "demo-change"}},
			body:    `{"company_name":"Acme Parcels Pty Ltd","metadata":{"plan":"gold"}}`,
		}, nil},
		{http.StatusOK, request{
			title:  "7. It makes one more key for the merchant, which may only read.",
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
			title:  "8. That key can not link a carrier.",
			method: http.MethodPost, path: "/v1/connections/carriers/startrack",
			headers: [][2]string{{"API-Key", key.EncryptedAPIKey}}, body: `{}`,
		}},
		{http.StatusOK, request{
			title:  "9. The key is rotated: the new one is in the answer, the old one works for another hour.",
			method: http.MethodPost, path: accountPath + "/api_keys/" + key.APIKeyID.String() + "/rotate",
			headers: [][2]string{partner, {"Idempotency-Key", "demo-rotate"}}, body: `{"grace_period_seconds":3600}`,
		}},
		{http.StatusOK, request{
			title:  "10. The merchant sees which carriers can be linked, with the fields of a form for each.",
			method: http.MethodGet, path: "/v1/connections/carriers", headers: [][2]string{merchant},
		}},
		{http.StatusOK, request{
			title:  "11. And those that are linked, as ShipEngine shows them.",
			method: http.MethodGet, path: "/v1/carriers", headers: [][2]string{merchant},
		}},
		{http.StatusNoContent, request{
			title:  "12. The partner disables the account:",
			method: http.MethodPut, path: accountPath + "/disable", headers: [][2]string{partner},
		}},
		{http.StatusForbidden, request{
			title:  "13. its keys are refused at once,",
			method: http.MethodGet, path: "/v1/carriers", headers: [][2]string{merchant},
		}},
		{http.StatusNoContent, request{
			title:  "14. until it is enabled again.",
			method: http.MethodPut, path: accountPath + "/enable", headers: [][2]string{partner},
		}},
	} {
		if _, err := step(s.want, s.request, nil); err != nil {
			return err
		}
	}
	return nil
}
