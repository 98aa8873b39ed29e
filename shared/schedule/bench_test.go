package schedule_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrierlink/shared/account"
	auspostapi "carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/schedule"
	"carrierlink/shared/secret"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

// latency is the response time of the benchmark's carrier.
const latency = 500 * time.Millisecond

// BenchmarkWorker compares the worker with a bare HTTP client. Both make the same calls
// at the same concurrency, to a carrier behind TLS with a fixed latency. Throughput is
// given as a share of concurrency ÷ latency. The worker gets batches of ten, like the
// queue's; one iteration is one round of concurrency checks. The budgets: 0.95 at 50,
// 0.85 at 200, and new TLS connections for 1 % of the checks, including those of the
// start, which needs 100 rounds.
func BenchmarkWorker(b *testing.B) {
	for _, concurrency := range []int{50, 200} {
		b.Run(strconv.Itoa(concurrency), func(b *testing.B) { benchmarkWorker(b, concurrency) })
	}
}

func benchmarkWorker(b *testing.B, concurrency int) {
	b.Helper()
	upstream := newUpstream(b)
	client, err := auspostapi.New(auspostapi.Options{BaseURL: upstream.url + "/shipping/v1"})
	if err != nil {
		b.Fatal(err)
	}
	d := newDueAlways(b, client, concurrency)
	var batches [][]schedule.Received
	for i := 0; i < concurrency; i += 10 {
		batches = append(batches, d.messages[i:i+10])
	}
	worker := schedule.Worker{Checker: d.service, Breakers: d}

	plain := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: upstream.roots}, MaxIdleConnsPerHost: concurrency,
	}}

	// The two take turns, so that a busy machine slows both alike.
	const turn = 10
	var ours, bare time.Duration
	var opened, checks int64
	for left := b.N; left > 0; left -= turn {
		n := min(left, turn)
		before := upstream.opened.Load()
		upstream.answered.Store(0)
		ours += rounds(n, len(batches), func(i int) {
			if failed := worker.Work(b.Context(), batches[i]); len(failed) > 0 {
				b.Errorf("%d messages failed", len(failed))
			}
		})
		opened, checks = opened+upstream.opened.Load()-before, checks+upstream.answered.Load()
		bare += rounds(n, concurrency, func(i int) { upstream.get(b, plain, i) })
	}
	if want := int64(concurrency * b.N); checks != want {
		b.Fatalf("%d checks, want %d", checks, want)
	}
	ideal := float64(latency) * float64(b.N)
	b.ReportMetric(ideal/float64(ours), "×ideal")
	b.ReportMetric(ideal/float64(bare), "bare-×ideal")
	b.ReportMetric(float64(bare)/float64(ours), "×bare")
	b.ReportMetric(float64(opened)/float64(checks)*100, "%-new-TLS")
	b.ReportMetric(0, "ns/op")
}

// rounds makes n rounds of concurrent calls and returns how long they took.
func rounds(n, calls int, call func(i int)) time.Duration {
	var running sync.WaitGroup
	start := time.Now()
	for i := range calls {
		running.Go(func() {
			for range n {
				call(i)
			}
		})
	}
	running.Wait()
	return time.Since(start)
}

// dueAlways is a store in memory whose connections are always due.
type dueAlways struct {
	*storetest.Memory
	service  *connection.Service
	messages []schedule.Received
	clock    atomic.Int64 // steps
}

func newDueAlways(b *testing.B, client connection.Carrier, n int) *dueAlways {
	b.Helper()
	d := &dueAlways{Memory: storetest.NewMemory()}
	// Each check is due at once. A step of a day would overflow time.Duration, after 292 years.
	now := func() time.Time { return at().Add(time.Duration(d.clock.Add(1)) * 3 * time.Hour) }
	d.service = &connection.Service{
		LinksPerMinute: 1_000_000,
		Store:          d, Vault: vault.New(vaulttest.NewMemory(), "bench/"), Carriers: connection.Carriers{Production: okCarrier{}}, Compare: auspostapi.Changes,
		Timing: health.Timing{RefusalGap: health.RefusalGap, Speed: 1}, Now: now, Random: rand.Reader,
	}
	for i := range n {
		account := account.Account{ID: int64(i + 1), PartnerID: 5, Environment: carrier.Production, Active: true}
		makeAccount(b, d, account)
		conn, err := d.service.Link(b.Context(), connection.LinkRequest{
			Account: account, RefreshPolicy: connection.RefreshHourly,
			ChargeAccount: connection.ChargeAccount{
				Carrier: carrier.AustraliaPost, Number: number(i),
				Credentials: connection.Credentials{APIKey: secret.New(fmt.Sprint("key ", i)), APISecret: secret.New("secret")},
			},
		})
		if err != nil {
			b.Fatal(err)
		}
		text, err := json.Marshal(schedule.Message{AccountID: conn.AccountID, ConnectionID: conn.ID, Lane: conn.Lane()})
		if err != nil {
			b.Fatal(err)
		}
		d.messages = append(d.messages, schedule.Received{ID: strconv.Itoa(i), Body: string(text)})
	}
	d.service.Production = client
	return d
}

// RecordCheck keeps no history: it would grow with the benchmark.
func (d *dueAlways) RecordCheck(ctx context.Context, conn *connection.Connection, _ *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	return d.Memory.RecordCheck(ctx, conn, nil, snap, fx, now)
}

// okCarrier gives good answers.
type okCarrier struct{}

func (okCarrier) GetAccount(context.Context, connection.ChargeAccount, int) connection.Reading {
	return connection.Reading{Outcome: carrier.OutcomeOK, Raw: []byte(`{}`)}
}

func number(i int) string { return fmt.Sprintf("%08d00", i) }

// upstream is a carrier behind TLS.
type upstream struct {
	url      string
	roots    *x509.CertPool
	opened   atomic.Int64 // connections
	answered atomic.Int64
}

func newUpstream(b *testing.B) *upstream {
	b.Helper()
	u := &upstream{}
	carrier := simulator.NewHandler(time.Now)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(latency)
		u.answered.Add(1) // before the answer, which may end the round
		carrier.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true // the client chooses
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			u.opened.Add(1)
		}
	}
	server.StartTLS()
	b.Cleanup(server.Close)
	u.url, u.roots = server.URL, x509.NewCertPool()
	u.roots.AddCert(server.Certificate())
	// The worker has the client of production with its own transport, so the server's
	// certificate replaces the system's roots, which Go reads at the first handshake.
	file := filepath.Join(b.TempDir(), "roots.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Setenv("SSL_CERT_FILE", file)
	return u
}

// get makes a check with the bare client.
func (u *upstream) get(b *testing.B, client *http.Client, i int) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, u.url+"/shipping/v1/accounts/"+number(i), http.NoBody)
	if err != nil {
		b.Error(err)
		return
	}
	r.SetBasicAuth(fmt.Sprint("key ", i), "secret")
	r.Header.Set("Account-Number", number(i))
	resp, err := client.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		b.Errorf("status %d, %v", resp.StatusCode, err)
	}
}
