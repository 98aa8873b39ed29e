package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// storiesWithin is how long the three stories may take. The emulator's rule fires at most once a minute, and a key counts
// as dead only after refusals for loneRefusalSeconds, because there is no other account to compare with.
const storiesWithin = 4 * time.Minute

// historyEntry is a check in the answer of GET …/history.
type historyEntry struct {
	At        string `json:"at"`
	Trigger   string `json:"trigger"`
	Outcome   string `json:"outcome"`
	LatencyMS int    `json:"latency_ms"`
	Status    string `json:"status"`
	Changes   []struct {
		Type      string `json:"type"`
		ProductID string `json:"product_id"`
		Field     string `json:"field"`
		From      string `json:"from"`
		To        string `json:"to"`
	} `json:"changes"`
}

// story is a connection whose charge account number makes the simulator play a story.
type story struct {
	name, number, id string
	ended            func(status string, newestFirst []historyEntry) bool
}

func stories() []*story {
	return []*story{
		{name: "whose contract loses a product", number: "0000123413", ended: func(_ string, checks []historyEntry) bool {
			for _, c := range checks {
				if len(c.Changes) > 0 {
					return true
				}
			}
			return false
		}},
		{name: "whose key dies after linking", number: "0000123460", ended: func(status string, _ []historyEntry) bool {
			return status == "action_required"
		}},
		{name: "that rides out an outage of the carrier", number: "0000123461", ended: func(status string, checks []historyEntry) bool {
			return status == "active" && slices.ContainsFunc(checks, func(c historyEntry) bool { return c.Status == "degraded" })
		}},
	}
}

// showSchedule links three connections, lets the schedule of the local stack check them, and prints their histories. No
// request asks for a check.
func showSchedule(ctx context.Context, out io.Writer, api string, account mainAccount) error {
	c := client{out: out, api: api, lines: shortAnswer}
	merchant := [2]string{"API-Key", account.key}
	fmt.Fprintf(out, "\nNow the schedule checks three connections. Here an hour takes 2.5 seconds, and the schedule looks for due checks every ten seconds.\n")
	all := stories()
	for i, s := range all {
		var linked struct {
			CarrierID string `json:"carrier_id"`
		}
		status, _, err := c.send(ctx, request{
			title:  fmt.Sprintf("%d. The merchant links a connection %s.", 17+i, s.name),
			method: http.MethodPost, path: "/v1/connections/carriers/australia_post", headers: [][2]string{merchant, {"Idempotency-Key", "demo-" + s.number}},
			body: `{"nickname":"A connection ` + s.name + `","account_number":"` + s.number + `","refresh_policy":"hourly",` +
				`"api_key":"6d8c1c0e-52c4-4f4e-9a3c-2f1f7a3f1b` + s.number[8:] + `","api_secret":"xH7nQ2mWp4Rt"}`,
		}, &linked)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("linking a connection %s: %d, %w", s.name, status, err)
		}
		s.id = linked.CarrierID
	}
	ctx, cancel := context.WithTimeoutCause(ctx, storiesWithin, fmt.Errorf("its story did not end within %s", storiesWithin))
	defer cancel()
	for _, s := range all {
		if err := s.watch(ctx, out, api, merchant); err != nil {
			return fmt.Errorf("watching the connection %s: %w", s.name, err)
		}
	}
	return nil
}

// watch waits until the story has ended, and prints the history.
func (s *story) watch(ctx context.Context, out io.Writer, api string, key [2]string) error {
	path := "/v1/carriers/" + s.id
	for {
		var connection struct {
			Status string `json:"status"`
			Reason string `json:"status_reason"`
		}
		var history struct {
			Checks []historyEntry `json:"checks"`
		}
		if err := fetch(ctx, api+path, key, &connection); err != nil {
			return err
		}
		if err := fetch(ctx, api+path+"/history", key, &history); err != nil {
			return err
		}
		if s.ended(connection.Status, history.Checks) {
			fmt.Fprintf(out, "\nThe connection %s is %s. Its history, newest first:\n\n", s.name, strings.TrimSpace(connection.Status+" "+connection.Reason))
			fmt.Fprintf(out, "  curl -s %s -H %s\n\n", quote(api+path+"/history"), quote(key[0]+": "+key[1]))
			for _, c := range history.Checks {
				fmt.Fprintf(out, "  %s  %-8s  %-13s %5d ms  %s\n", c.At, c.Trigger, c.Outcome, c.LatencyMS, c.Status)
				for _, change := range c.Changes {
					fmt.Fprintf(out, "    %s\n", strings.Join(strings.Fields(strings.Join([]string{change.Type, change.ProductID, change.Field, change.From, change.To}, " ")), " "))
				}
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; it is %s after %d checks", context.Cause(ctx), connection.Status, len(history.Checks))
		case <-time.After(time.Second):
		}
	}
}

// fetch reads an answer without printing it.
func fetch(ctx context.Context, url string, key [2]string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set(key[0], key[1])
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s answered %s", url, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
