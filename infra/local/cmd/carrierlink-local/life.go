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

// lifeWithin is how long the three lives may take: the emulator's rule fires once a minute at most, and a key counts as
// dead only after it was refused for loneRefusalSeconds, as there is no other account to compare with.
const lifeWithin = 4 * time.Minute

// historyEntry is a check as GET …/history tells of it.
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

// aLife is a connection whose charge account number tells a story, and how its history shows that the story has come
// to its end.
type aLife struct {
	story, number, id string
	over              func(status string, newestFirst []historyEntry) bool
}

func lives() []*aLife {
	return []*aLife{
		{story: "whose contract loses a product", number: "0000123413", over: func(_ string, checks []historyEntry) bool {
			for _, c := range checks {
				if len(c.Changes) > 0 {
					return true
				}
			}
			return false
		}},
		{story: "whose key dies after linking", number: "0000123460", over: func(status string, _ []historyEntry) bool {
			return status == "action_required"
		}},
		{story: "that rides out an outage of the carrier", number: "0000123461", over: func(status string, checks []historyEntry) bool {
			return status == "active" && slices.ContainsFunc(checks, func(c historyEntry) bool { return c.Status == "degraded" })
		}},
	}
}

// lifeOfConnections links three connections, lets the schedule of the local stack check them, and shows their histories.
// Nobody asks for a check.
func lifeOfConnections(ctx context.Context, out io.Writer, api string, account mainAccount) error {
	talk := conversation{out: out, api: api, lines: shortAnswer}
	merchant := [2]string{"API-Key", account.key}
	fmt.Fprintf(out, "\nNow three connections are left to the schedule. Here it runs so fast that an hour is 2.5 seconds, and looks every ten seconds.\n")
	all := lives()
	for i, l := range all {
		var linked struct {
			CarrierID string `json:"carrier_id"`
		}
		status, _, err := talk.send(ctx, request{
			title:  fmt.Sprintf("%d. One %s is linked.", 15+i, l.story),
			method: http.MethodPost, path: "/v1/connections/carriers/australia_post", headers: [][2]string{merchant, {"Idempotency-Key", "demo-" + l.number}},
			body: `{"nickname":"A connection ` + l.story + `","account_number":"` + l.number + `","refresh_policy":"hourly",` +
				`"api_key":"6d8c1c0e-52c4-4f4e-9a3c-2f1f7a3f1b` + l.number[8:] + `","api_secret":"xH7nQ2mWp4Rt"}`,
		}, &linked)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("linking a connection %s: %d, %w", l.story, status, err)
		}
		l.id = linked.CarrierID
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lifeWithin, fmt.Errorf("the schedule has not brought it to an end within %s", lifeWithin))
	defer cancel()
	for _, l := range all {
		if err := l.watch(ctx, out, api, merchant); err != nil {
			return fmt.Errorf("watching the connection %s: %w", l.story, err)
		}
	}
	return nil
}

// watch waits until the story is over, and prints the history.
func (l *aLife) watch(ctx context.Context, out io.Writer, api string, key [2]string) error {
	path := "/v1/carriers/" + l.id
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
		if l.over(connection.Status, history.Checks) {
			fmt.Fprintf(out, "\nThe connection %s is %s. Its history, the newest first:\n\n", l.story, strings.TrimSpace(connection.Status+" "+connection.Reason))
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

// fetch reads an answer without showing it.
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
