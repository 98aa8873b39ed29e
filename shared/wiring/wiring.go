// Package wiring puts the use case of linking together from a function's
// settings, for the functions that ask carriers about connections. It is part of
// their mains: nothing else imports it.
package wiring

import (
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/boot"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/store"
	"carrierlink/shared/vault"
)

// Parts are the linker and what it is made of.
type Parts struct {
	Table   *store.Store
	Secrets *secretsmanager.Client
	Linker  *connection.Service
}

// Linking reads TABLE_NAME, SECRET_PREFIX, AUSPOST_BASE_URL and what Timing reads.
func Linking(env *boot.Env) Parts {
	p := Keeping(env)
	production, sandbox := Carriers(env)
	p.Linker.Carriers = connection.Carriers{Production: production, Sandbox: sandbox}
	p.Linker.Changes = auspost.Changes
	p.Linker.Timing = Timing(env)
	return p
}

// Carriers are the clients of the carrier: the real one of AUSPOST_BASE_URL, and
// the simulator for sandbox accounts.
func Carriers(env *boot.Env) (production, sandbox *auspost.Client) {
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

// Keeping is Linking for those who ask no carrier. It reads TABLE_NAME and
// SECRET_PREFIX.
func Keeping(env *boot.Env) Parts {
	cfg := env.AWS()
	table := store.New(dynamodb.NewFromConfig(cfg), env.Text("TABLE_NAME"), store.Options{})
	secrets := secretsmanager.NewFromConfig(cfg)
	return Parts{table, secrets, &connection.Service{
		Store: table, Vault: vault.New(secrets, env.Text("SECRET_PREFIX")), Now: time.Now, Random: rand.Reader,
	}}
}

// Timing reads REFUSAL_GAP_SECONDS, LONE_REFUSAL_SECONDS and SCHEDULE_SPEED.
func Timing(env *boot.Env) health.Timing {
	return health.Timing{
		RefusalGap: env.Seconds("REFUSAL_GAP_SECONDS"), LoneRefusal: env.Seconds("LONE_REFUSAL_SECONDS"), Speed: env.Count("SCHEDULE_SPEED"),
	}
}
