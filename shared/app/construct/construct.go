// Package construct builds what functions are made of from their settings. It is
// the one place where the adapters meet; only functions import it. It is apart
// from app because a binary that imports it links the clients of AWS
// (infra/docs/decisions/0032).
package construct

import (
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/app"
	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/store"
	"carrierlink/shared/vault"
)

// Parts are the connection service and what it is made of.
type Parts struct {
	Table       *store.Store
	Secrets     *secretsmanager.Client
	Connections *connection.Service
}

// Connections builds the service with its carriers. It reads TABLE_NAME, SECRET_PREFIX, AUSPOST_BASE_URL and what Timing reads.
func Connections(env *app.Env) Parts {
	p := ConnectionsWithoutCarriers(env)
	production, sandbox := Carriers(env)
	p.Connections.Carriers = connection.Carriers{Production: production, Sandbox: sandbox}
	p.Connections.Changes = auspost.Changes
	p.Connections.Timing = Timing(env)
	return p
}

// Carriers are the clients of the carrier: the real one of AUSPOST_BASE_URL, and
// the simulator for sandbox accounts.
func Carriers(env *app.Env) (production, sandbox *auspost.Client) {
	base := env.Text("AUSPOST_BASE_URL")
	production, err := auspost.New(auspost.Options{BaseURL: base})
	// Credentials go over no open line. The simulator of a local stack has no
	// certificate.
	if scheme, _, _ := strings.Cut(base, ":"); strings.EqualFold(scheme, "http") && env.Optional("STAGE") != "local" {
		err = errors.Join(err, errors.New("http is for the stage local only; use https"))
	}
	env.Check("AUSPOST_BASE_URL", err)
	sandbox, err = auspost.New(auspost.Options{BaseURL: simulator.BaseURL, Transport: simulator.NewTransport()})
	env.Check("simulator", err)
	return production, sandbox
}

// ConnectionsWithoutCarriers is for functions that never call a carrier. It reads
// TABLE_NAME and SECRET_PREFIX.
func ConnectionsWithoutCarriers(env *app.Env) Parts {
	cfg := env.AWS()
	table := store.New(dynamodb.NewFromConfig(cfg), env.Text("TABLE_NAME"), store.Options{})
	secrets := secretsmanager.NewFromConfig(cfg)
	return Parts{table, secrets, &connection.Service{
		Store: table, Vault: vault.New(secrets, env.Text("SECRET_PREFIX")), Now: time.Now, Random: rand.Reader,
	}}
}

// Timing reads REFUSAL_GAP_SECONDS, LONE_REFUSAL_SECONDS and SCHEDULE_SPEED.
func Timing(env *app.Env) health.Timing {
	return health.Timing{
		RefusalGap: env.Seconds("REFUSAL_GAP_SECONDS"), LoneRefusal: env.Seconds("LONE_REFUSAL_SECONDS"), Speed: env.Count("SCHEDULE_SPEED"),
	}
}
