// Package construct builds the parts of functions from their settings. It is the only place
// where the adapters meet, and only functions import it. It is separate from app because
// it links the clients of AWS (infra/docs/decisions/0032-construction-beside-app.md).
package construct

import (
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/account"
	"carrierlink/shared/app"
	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/auth"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/vault"
)

// Parts builds the parts of one function. Each method reads the settings that its comment
// names and reports their problems to the environment. The table, the service secret and
// the clients of AWS are built once, on first use.
type Parts struct {
	env     *app.Env
	aws     *aws.Config
	table   *store.Store
	secrets *secretsmanager.Client
	service *vault.ServiceSecret
}

// From returns the parts for an environment.
func From(env *app.Env) *Parts { return &Parts{env: env} }

// AWS returns the configuration of all AWS clients. It reads what app.Env.AWS reads.
func (p *Parts) AWS() aws.Config {
	if p.aws == nil {
		cfg := p.env.AWS()
		p.aws = &cfg
	}
	return *p.aws
}

// Table reads TABLE_NAME.
func (p *Parts) Table() *store.Store {
	if p.table == nil {
		p.table = store.New(dynamodb.NewFromConfig(p.AWS()), p.env.Text("TABLE_NAME"), kit.Options{})
	}
	return p.table
}

// secretsManager returns one client for the vault and the service secret, which share its
// connections.
func (p *Parts) secretsManager() *secretsmanager.Client {
	if p.secrets == nil {
		p.secrets = secretsmanager.NewFromConfig(p.AWS())
	}
	return p.secrets
}

// Vault reads SECRET_PREFIX.
func (p *Parts) Vault() *vault.Vault {
	return vault.New(p.secretsManager(), p.env.Text("SECRET_PREFIX"))
}

// ServiceSecret reads SERVICE_SECRET_ID.
func (p *Parts) ServiceSecret() *vault.ServiceSecret {
	if p.service == nil {
		p.service = vault.NewServiceSecret(p.secretsManager(), p.env.Text("SERVICE_SECRET_ID"))
	}
	return p.service
}

// ReplacedSecret is ServiceSecret for the function that replaces it.
func (p *Parts) ReplacedSecret() *vault.ReplacedSecret {
	return vault.NewReplacedSecret(p.secretsManager(), p.env.Text("SERVICE_SECRET_ID"))
}

// Sealer reads what ServiceSecret reads.
func (p *Parts) Sealer() *seal.Sealer { return seal.New(p.ServiceSecret().Read, time.Now) }

// Auth reads TABLE_NAME, RATE_LIMIT_PER_MINUTE and SANDBOX_RATE_LIMIT_PER_MINUTE.
func (p *Parts) Auth() *auth.Auth {
	limits := auth.Limits{Production: p.env.Count("RATE_LIMIT_PER_MINUTE"), Sandbox: p.env.Count("SANDBOX_RATE_LIMIT_PER_MINUTE")}
	return &auth.Auth{Keys: p.Table(), Now: time.Now, Limits: limits}
}

// API reads ERROR_SOURCE and STAGE.
func (p *Parts) API(routes ...httpapi.Route) *httpapi.API {
	return &httpapi.API{ErrorSource: p.env.Optional("ERROR_SOURCE"), Metrics: p.env.Metrics(), Routes: routes}
}

// APIWithLinks is API for answers that link to other pages. It also reads PUBLIC_URL.
func (p *Parts) APIWithLinks(routes ...httpapi.Route) *httpapi.API {
	api := p.API(routes...)
	api.URL = p.env.OptionalURL("PUBLIC_URL")
	return api
}

// Carriers returns the carrier's client for production accounts, and the simulator for
// sandbox accounts, which does not track. It reads AUSPOST_BASE_URL and STAGE.
func (p *Parts) Carriers() (production, sandbox *auspost.Client) {
	return p.carriers(simulator.NewAccountTransport(time.Now))
}

// TrackingCarriers is Carriers with a simulator that tracks.
func (p *Parts) TrackingCarriers() (production, sandbox *auspost.Client) {
	return p.carriers(simulator.NewTransport(time.Now))
}

func (p *Parts) carriers(simulated *simulator.Transport) (production, sandbox *auspost.Client) {
	base := p.env.Text("AUSPOST_BASE_URL")
	production, err := auspost.New(auspost.Options{BaseURL: base})
	// Credentials are sent over TLS only, except to the simulator of a local stack.
	if scheme, _, _ := strings.Cut(base, ":"); strings.EqualFold(scheme, "http") && p.env.Optional("STAGE") != "local" {
		err = errors.Join(err, errors.New("http is allowed on the stage local only; use https"))
	}
	p.env.Check("AUSPOST_BASE_URL", err)
	sandbox, err = auspost.New(auspost.Options{BaseURL: simulator.BaseURL, Transport: simulated, Simulated: true})
	p.env.Check("simulator", err)
	return production, sandbox
}

// Connections returns the connection service with its carriers. It reads what
// ConnectionsWithoutCarriers and Carriers read, and REFUSAL_GAP_SECONDS,
// LONE_REFUSAL_SECONDS and SCHEDULE_SPEED.
func (p *Parts) Connections() *connection.Service {
	s := p.ConnectionsWithoutCarriers()
	production, sandbox := p.Carriers()
	s.Carriers = connection.Carriers{Production: production, Sandbox: sandbox}
	s.Compare, s.Contracts = auspost.Changes, auspost.ParseContract
	s.Timing = health.Timing{
		RefusalGap: p.env.Seconds("REFUSAL_GAP_SECONDS"), LoneRefusal: p.env.Seconds("LONE_REFUSAL_SECONDS"), Speed: p.env.Count("SCHEDULE_SPEED"),
	}
	return s
}

// Contracts returns the parser of stored answers of carriers.
func (p *Parts) Contracts() connection.ContractParser { return auspost.ParseContract }

// ConnectionsWithoutCarriers is for functions that never call a carrier. It reads
// TABLE_NAME and SECRET_PREFIX.
func (p *Parts) ConnectionsWithoutCarriers() *connection.Service {
	return &connection.Service{Store: p.Table(), Vault: p.Vault(), Now: time.Now, Random: rand.Reader}
}

// Accounts returns the account service. It reads TABLE_NAME. Functions that need them set
// Connections, EmailKey and HashPassword; the others do not link them.
func (p *Parts) Accounts() *account.Service {
	return &account.Service{Store: p.Table(), Now: time.Now, Random: rand.Reader}
}

// AllowLoopback is the setting of outbound.Rules. It reads WEBHOOK_ALLOW_LOOPBACK, which is
// true, false or missing, and STAGE. It is not in the form of outbound.Rules so that other
// functions do not link the list of addresses.
func (p *Parts) AllowLoopback() bool {
	value := p.env.Optional("WEBHOOK_ALLOW_LOOPBACK")
	switch {
	case value != "" && value != "true" && value != "false":
		p.env.Check("WEBHOOK_ALLOW_LOOPBACK", errors.New("must be true or false"))
	case value == "true" && p.env.Optional("STAGE") != "local":
		p.env.Check("WEBHOOK_ALLOW_LOOPBACK", errors.New("is for the stage local only"))
	}
	return value == "true"
}
