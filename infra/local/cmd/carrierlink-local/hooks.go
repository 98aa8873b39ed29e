package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/receivers"
)

// heardWithin is how long the events may take to arrive after the stories. One that failed, as on a busy machine, is sent again after
// seconds. The carrier's answer about a parcel stands for two minutes, and the parcel's second event needs another one.
const heardWithin = 5 * time.Minute

// hooks is the partner's webhook with its receiver, the program in Python that README.md shows. It prints what it has
// verified with the library of Standard Webhooks for Python.
type hooks struct {
	client
	key      [2]string
	id       string
	receiver *receivers.Receiver
}

// listen creates the partner's webhook and starts its receiver.
func listen(ctx context.Context, out io.Writer, api string, keys partnerKeys, dir string) (*hooks, error) {
	h := &hooks{client: client{out: out, api: api, lines: longAnswer}, key: [2]string{"API-Key", keys.production}}
	port, err := emulator.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	var made struct {
		WebhookID string `json:"webhook_id"`
		Secret    string `json:"secret"`
	}
	status, _, err := h.send(ctx, request{
		title: "15. The partner wants to hear of all events. Only this answer shows the secret that signs them. A receiver must have https;\n" +
			"    this stack also allows http on this machine.",
		method: http.MethodPost, path: "/v1/environment/webhooks", headers: [][2]string{h.key, {"Idempotency-Key", "demo-webhook"}},
		body: `{"url":"http://127.0.0.1:` + strconv.Itoa(port) + `/hook","events":["*"],"name":"Demo"}`,
	}, &made)
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("creating a webhook: %d, %w", status, err)
	}
	h.id = made.WebhookID
	if h.receiver, err = receivers.Start(ctx, receivers.Python, dir, port, made.Secret); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "\nThe receiver in Python of README.md, \"Receive webhooks\", listens on port %d.\n", port)
	return h, nil
}

// registerParcel registers a parcel that moves: the simulator has it in transit, and soon delivered.
func (h *hooks) registerParcel(ctx context.Context, account mainAccount) error {
	number := fmt.Sprintf("ZZ80%d17", time.Now().Unix())
	status, _, err := h.send(ctx, request{
		title: "16. The merchant registers a parcel, which the schedule looks at from now on.", method: http.MethodPost,
		path: "/v1/tracking/start?carrier_code=australia_post&tracking_number=" + number, headers: [][2]string{{"API-Key", account.key}},
	}, nil)
	if err != nil || status != http.StatusNoContent {
		return fmt.Errorf("registering a parcel: %d, %w", status, err)
	}
	return nil
}

// expected are the events of the stories and of the parcel that the demo waits for.
func expected() []string {
	return []string{"carrier_connected", "carrier_action_required", "carrier_recovered", "track", "track"}
}

// show waits for the events of the stories, and prints what has arrived, the delivery log and the audit log.
func (h *hooks) show(ctx context.Context, account mainAccount) error {
	waiting, cancel := context.WithTimeoutCause(ctx, heardWithin, fmt.Errorf("they did not arrive within %s", heardWithin))
	defer cancel()
	fmt.Fprintf(h.out, "\nWhat the receiver got, each verified by the library of Standard Webhooks for Python:\n\n")
	for missing := expected(); len(missing) > 0; {
		select {
		case line, ok := <-h.receiver.Lines:
			if !ok {
				return errors.New("the receiver has ended")
			}
			id, body, _ := strings.Cut(line, " ")
			var event struct {
				Event       string `json:"event"`
				CreatedAt   string `json:"created_at"`
				ResourceURL string `json:"resource_url"`
			}
			if err := json.Unmarshal([]byte(body), &event); err != nil {
				return fmt.Errorf("the receiver printed %.300q: %w", line, err)
			}
			fmt.Fprintf(h.out, "  %s  %-24s %s  %s\n", event.CreatedAt, event.Event, id, event.ResourceURL)
			if i := slices.Index(missing, event.Event); i >= 0 {
				missing = slices.Delete(missing, i, i+1)
			}
		case <-waiting.Done():
			return fmt.Errorf("waiting for the events %v: %w", missing, context.Cause(waiting))
		}
	}
	for _, r := range []request{
		{title: "20. The partner reads the log of its deliveries, newest first.", path: "/v1/environment/webhooks/" + h.id + "/deliveries?page_size=5"},
		{title: "21. The audit log says who did what to the account, newest first.", path: "/v1/audit_log?page_size=5&account_id=" + account.id},
	} {
		r.method, r.headers = http.MethodGet, [][2]string{h.key}
		if status, _, err := h.send(ctx, r, nil); err != nil || status != http.StatusOK {
			return fmt.Errorf("GET %s answered %d, %w", r.path, status, err)
		}
	}
	return nil
}
