package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

const root = "../../.."

// fakeAccount is an account with what a test gives it.
type fakeAccount struct {
	callerErr, concurrencyErr, certificateErr, subscriptionsErr, topicsErr, tableErr error

	stacks        map[string]*stack
	limit, free   int
	certificates  map[string]certificate
	tables        map[string]*table
	subscriptions map[string][]subscription
	topics        []string
}

func (a fakeAccount) Caller(context.Context) (number, arn string, err error) {
	return "123456789012", "arn:aws:iam::123456789012:user/deployer", a.callerErr
}

func (a fakeAccount) Stack(_ context.Context, name string) (*stack, error) {
	return a.stacks[name], nil
}

func (a fakeAccount) Concurrency(context.Context) (limit, unreserved int, err error) {
	return a.limit, a.free, a.concurrencyErr
}

func (a fakeAccount) Certificate(_ context.Context, arn string) (certificate, error) {
	found, ok := a.certificates[arn]
	if !ok && a.certificateErr == nil {
		return found, errors.New("ResourceNotFoundException")
	}
	return found, a.certificateErr
}

func (a fakeAccount) Subscriptions(_ context.Context, topic string) ([]subscription, error) {
	found, ok := a.subscriptions[topic]
	if !ok && a.subscriptionsErr == nil {
		return nil, errors.New("NotFound")
	}
	return found, a.subscriptionsErr
}

func (a fakeAccount) Topics(context.Context, string) ([]string, error) { return a.topics, a.topicsErr }

func (a fakeAccount) Table(_ context.Context, name string) (*table, error) {
	return a.tables[name], a.tableErr
}

func opening(a account) func(context.Context) (account, error) {
	return func(context.Context) (account, error) { return a, nil }
}

const (
	certificateARN = "arn:aws:acm:ap-southeast-2:123456789012:certificate/1"
	topicARN       = "arn:aws:sns:ap-southeast-2:123456789012:alarms"
)

// check runs the checklist of a stage with the repository's own template and samconfig.toml.
func check(t *testing.T, stage string, account account, parameters ...string) (bool, string) {
	t.Helper()
	return checkFile(t, filepath.Join(root, "samconfig.toml"), stage, account, parameters...)
}

// checkFile runs the checklist of a section of another samconfig.toml.
func checkFile(t *testing.T, path, stage string, account account, parameters ...string) (bool, string) {
	t.Helper()
	list, err := newChecklist(filepath.Join(root, "template.yaml"), path, stage, parameters)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	list.open, list.out = opening(account), &out
	fine, err := list.run(t.Context())
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return fine, out.String()
}

// large is an account in which a deployment works.
func large() fakeAccount {
	return fakeAccount{
		limit: 1000, free: 1000,
		certificates:  map[string]certificate{certificateARN: {status: "ISSUED", names: []string{"example.com", "*.example.com"}}},
		tables:        map[string]*table{"restored": {status: "ACTIVE", indexes: map[string]string{"by_active": "ACTIVE", "by_due": "ACTIVE", "by_event": "ACTIVE", "by_partner": "ACTIVE"}, stream: streamLabel}},
		subscriptions: map[string][]subscription{topicARN: {{address: "ops@example.com"}}},
	}
}

// streamLabel is that of the stream of the table restored.
const streamLabel = "2026-01-02T03:04:05.678"

const alarmed = "AlarmEmail=ops@example.com"

// refusals returns the lines of a checklist that refuse the deployment.
func refusals(out string) []string {
	var found []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "  REFUSED") {
			found = append(found, line)
		}
	}
	return found
}

// TestRefusals: a parameter set that cannot work is refused, with the reason, and nothing else is. Where there is no stack, the
// command line names the alarms' address; a stack that exists has it.
func TestRefusals(t *testing.T) {
	existing := func(status string, parameters map[string]string) fakeAccount {
		a := large()
		all := map[string]string{"AlarmEmail": "ops@example.com"}
		maps.Copy(all, parameters)
		a.stacks = map[string]*stack{"carrierlink-production": {status: status, parameters: all}}
		return a
	}
	// attached is a stack that uses another table and another stack's secrets.
	attached := existing("UPDATE_COMPLETE", map[string]string{"TableName": "restored", "TableStreamLabel": streamLabel, "SecretPrefix": "carrierlink-other/carrier/", "BackgroundWork": "disabled"})
	attaches := func(status string, indexes map[string]string) fakeAccount {
		a := large()
		a.tables = map[string]*table{"restored": {status: status, indexes: indexes, stream: streamLabel}}
		return a
	}
	with := func(change func(*fakeAccount)) fakeAccount {
		a := large()
		change(&a)
		return a
	}
	tests := []struct {
		name       string
		account    fakeAccount
		parameters []string
		want       string // of the line that refuses; empty: it is not refused
	}{
		{"a domain without a certificate", large(), []string{"DomainName=api.example.com"}, "DomainName needs CertificateArn, the ARN of an issued ACM certificate for it in the stack's region: pass both as parameters (with make, in PARAMETERS)."},
		{"a certificate of another Region", large(), []string{"DomainName=api.example.com", "CertificateArn=arn:aws:acm:us-east-1:123456789012:certificate/1"}, "CertificateArn is of us-east-1"},
		{"a certificate that does not exist", large(), []string{"DomainName=api.example.com", "CertificateArn=" + certificateARN + "2"}, "could not be read"},
		{"a certificate for another name", large(), []string{"DomainName=a.b.example.com", "CertificateArn=" + certificateARN}, "is for example.com, *.example.com"},
		{"a certificate that is not issued", with(func(a *fakeAccount) {
			a.certificates[certificateARN] = certificate{status: "PENDING_VALIDATION", names: []string{"api.example.com"}}
		}), []string{"DomainName=api.example.com", "CertificateArn=" + certificateARN}, "is PENDING_VALIDATION"},
		{"a web ACL of another Region", large(), []string{"WebAclArn=arn:aws:wafv2:us-east-1:123456789012:regional/webacl/x/1"}, "WebAclArn is of us-east-1"},
		{"http to the carrier", large(), []string{"AusPostBaseUrl=http://127.0.0.1:8080/shipping/v1"}, "is not https"},
		{"an address that is none", large(), []string{"AusPostBaseUrl=carrier.example.com"}, "AusPostBaseUrl=carrier.example.com must be an https address"},
		{"http to a carrier that is not local", large(), []string{"AusPostBaseUrl=http://carrier.example.com"}, "AusPostBaseUrl=http://carrier.example.com must be an https address"},
		{"a speed that is no number", large(), []string{"ScheduleSpeed=fast"}, "ScheduleSpeed=fast must be a number"},
		{"a fast schedule", large(), []string{"ScheduleSpeed=1440"}, "Only a local stack may speed up its schedule."},
		{"another stage", large(), []string{"Stage=staging"}, "Stage=staging is not the stage of this deployment, production."},
		{"the local stage", large(), []string{"Stage=local"}, "Stage=local is only for the local stack"},
		{"an unknown parameter", large(), []string{"RateLimit=5"}, "The template has no parameter RateLimit. README.md, \"Settings\", lists them (case matters).\n"},
		{"a parameter with a wrong name", large(), []string{"AlarmMail=ops@example.com"}, "The template has no parameter AlarmMail. README.md, \"Settings\", lists them (case matters). Did you mean AlarmEmail?"},
		{"a parameter in lower case", large(), []string{"domainname=api.example.com"}, "Did you mean DomainName?"},
		{"a number that is none", large(), []string{"RateLimitPerMinute=many"}, "RateLimitPerMinute=many must be a number"},
		{"a number too small", large(), []string{"RateLimitPerMinute=0"}, "must be at least 1"},
		{"a number too large", large(), []string{"MaxKeysPerAccount=91"}, "must be at most 90"},
		{"a value that is not in the list", large(), []string{"Architecture=riscv"}, "must be one of arm64, x86_64"},
		{"a text that is too long", large(), []string{"PublicUrl=https://" + strings.Repeat("x", 520)}, "has a length of 528"},
		{"reserves more than the account has", large(), []string{"CarrierReservedConcurrency=200"}, "The functions reserve 1200 of the 1000"},
		{"leaves 99", large(), []string{"CarrierReservedConcurrency=148", "RefreshReservedConcurrency=11", "ScheduleReservedConcurrency=1"}, "reserve at most 900"},
		{"reserves in a new account", with(func(a *fakeAccount) { a.limit, a.free = 10, 10 }), []string{"ScheduleReservedConcurrency=1"}, "reserve at most 0"},
		{"others have reserved it", with(func(a *fakeAccount) { a.free = 150 }), []string{"RefreshReservedConcurrency=60"}, "reserve at most 50"},
		{"less for the worker than its batches", large(), []string{"RefreshReservedConcurrency=6"}, "RefreshReservedConcurrency=6 is less than the batches that are delivered at the same time, 7"},
		{"an update that is running", existing("UPDATE_IN_PROGRESS", nil), nil, "The stack is being changed (UPDATE_IN_PROGRESS)"},
		{"a creation that failed", existing("ROLLBACK_COMPLETE", nil), []string{alarmed}, "The stack could not be created (ROLLBACK_COMPLETE): delete it (.cache/sam/bin/sam delete --stack-name carrierlink-production --region ap-southeast-2), then deploy again."},
		{"a creation that is being rolled back", existing("ROLLBACK_IN_PROGRESS", nil), []string{alarmed}, "when the rollback has ended, delete it (.cache/sam/bin/sam delete --stack-name carrierlink-production --region ap-southeast-2)"},
		{"a rollback that failed", existing("UPDATE_ROLLBACK_FAILED", nil), nil, "mend that"},
		{"a table that does not exist", large(), []string{"TableName=absent"}, "There is no table absent in ap-southeast-2."},
		{"a table that is being restored", attaches("CREATING", nil), []string{"TableName=restored"}, "The table restored is CREATING, it must be ACTIVE."},
		{"a table of something else", attaches("ACTIVE", nil), []string{"TableName=restored"}, "must have the index by_active, by_due, by_event, by_partner,"},
		{"an index that is being built", attaches("UPDATING", map[string]string{"by_active": "ACTIVE", "by_due": "CREATING", "by_event": "ACTIVE", "by_partner": "UPDATING"}), []string{"TableName=restored"}, "must have the index by_due,"},
		{"a table that cannot be read", with(func(a *fakeAccount) { a.tableErr = errors.New("no answer") }), []string{"TableName=restored"}, "The table restored could not be read: no answer"},
		{"a stream that is not passed on", large(), []string{"TableName=restored"}, "TableStreamLabel must be that of the stream of the table restored, so that its events are published: " + streamLabel},
		{"another table's stream", large(), []string{"TableName=restored", "BackgroundWork=disabled", "TableStreamLabel=" + strings.Replace(streamLabel, "2026", "2025", 1)}, "TableStreamLabel must be that of the stream of the table restored"},
		{"a table without a stream", with(func(a *fakeAccount) { a.tables["restored"].stream = "" }), []string{"TableName=restored"}, "The table restored has no stream of new images"},
		{"a stream that the table no longer has", with(func(a *fakeAccount) { a.tables["restored"].stream = "" }), []string{"TableName=restored", "BackgroundWork=disabled", "TableStreamLabel=" + streamLabel}, "The table restored has no stream of new images"},
		{"the table's name is emptied", attached, []string{"TableName=", "BackgroundWork=disabled"}, "The stack uses the table restored; without TableName"},
		{"the secrets' prefix is emptied", attached, []string{"SecretPrefix=", "BackgroundWork=disabled"}, "The stack uses the secrets that begin with carrierlink-other/carrier/"},
		{"work that samconfig.toml would start", attached, nil, "BackgroundWork is disabled in the stack, and this deployment would enable it."},
		{"a second stack that would work", large(), []string{"SecretPrefix=carrierlink-staging/carrier/"}, "This stack would begin to work in the background with the secrets of another one (SecretPrefix)."},
		{"a stack that takes up a second one's work", existing("UPDATE_COMPLETE", nil), []string{"SecretPrefix=carrierlink-staging/carrier/", "TableName=restored", "TableStreamLabel=" + streamLabel}, "This stack would begin to work in the background with the secrets of another one (SecretPrefix)."},
		{"a value of the stack that no longer works", existing("UPDATE_COMPLETE", map[string]string{"DomainName": "api.example.com"}), nil, "DomainName needs CertificateArn"},
		{"a value of the stack that is no longer allowed", existing("UPDATE_COMPLETE", map[string]string{"AlarmEmail": "not-an-address"}), nil, "AlarmEmail=not-an-address must be empty or one email address"},
		{"a topic of another Region", large(), []string{"AlarmEmail=", "AlarmTopicArn=arn:aws:sns:us-east-1:123456789012:alarms"}, "AlarmTopicArn is of us-east-1"},
		{"a topic that does not exist", large(), []string{"AlarmEmail=", "AlarmTopicArn=" + topicARN + "2"}, "could not be read"},
		{"no alarm address", large(), []string{"AlarmEmail="}, "Nobody would get the alarms: pass the parameter AlarmEmail, or AlarmTopicArn=<arn> (with make, PARAMETERS=\"AlarmEmail=you@example.com\")."},
		{"a mail address that is none", large(), []string{"AlarmEmail=ops"}, "AlarmEmail=ops must be empty or one email address"},

		{"nothing unusual", large(), nil, ""},
		{"leaves 100", large(), []string{"CarrierReservedConcurrency=148", "RefreshReservedConcurrency=10", "ScheduleReservedConcurrency=1"}, ""},
		{"a domain", large(), []string{"DomainName=api.example.com", "CertificateArn=" + certificateARN}, ""},
		{"a web ACL", large(), []string{"WebAclArn=arn:aws:wafv2:ap-southeast-2:123456789012:regional/webacl/x/1"}, ""},
		{"a new account", with(func(a *fakeAccount) { a.limit, a.free = 10, 10 }), nil, ""},
		{"a topic", large(), []string{"AlarmEmail=", "AlarmTopicArn=" + topicARN}, ""},
		// `make diff` leaves a stack like this if there was none.
		{"a change set without a stack", existing("REVIEW_IN_PROGRESS", nil), []string{alarmed}, ""},
		{"an attached stack", attached, []string{"BackgroundWork=disabled"}, ""},
		{"work that the command line starts", attached, []string{"BackgroundWork=enabled"}, ""},
		{"a second stack without work", large(), []string{"SecretPrefix=carrierlink-staging/carrier/", "TableName=restored", "BackgroundWork=disabled"}, ""},
		{"a stack without work on a table without a stream", with(func(a *fakeAccount) { a.tables["restored"].stream = "" }), []string{"TableName=restored", "BackgroundWork=disabled"}, ""},
		{"a table whose settings change", attaches("UPDATING", map[string]string{"by_active": "ACTIVE", "by_due": "ACTIVE", "by_event": "ACTIVE", "by_partner": "ACTIVE"}), []string{"TableName=restored", "TableStreamLabel=" + streamLabel}, ""},
		{"what the stack has reserved becomes free", func() fakeAccount {
			a := existing("UPDATE_COMPLETE", map[string]string{"RefreshReservedConcurrency": "50"})
			a.free = 100
			return a
		}(), []string{"RefreshReservedConcurrency=40"}, ""},
		{"credentials that may read little", with(func(a *fakeAccount) {
			refused := &smithy.GenericAPIError{Code: "AccessDeniedException"}
			a.concurrencyErr, a.certificateErr, a.subscriptionsErr, a.tableErr = refused, refused, refused, refused
		}), []string{"TableName=restored", "AlarmEmail=", "AlarmTopicArn=" + topicARN, "DomainName=api.example.com", "CertificateArn=" + certificateARN}, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			parameters := tc.parameters
			if tc.account.stacks == nil {
				parameters = append([]string{alarmed}, parameters...)
			}
			fine, out := check(t, "production", tc.account, parameters...)
			refusals := refusals(out)
			if fine != (len(refusals) == 0) || strings.Contains(out, "Nothing was changed") == fine {
				t.Errorf("fine = %t with the refusals %q, in:\n%s", fine, refusals, out)
			}
			switch {
			case tc.want == "" && len(refusals) > 0:
				t.Errorf("refusals = %q, want none", refusals)
			case tc.want != "" && (len(refusals) != 1 || !strings.Contains(refusals[0], tc.want)):
				t.Errorf("refusals = %q, want one with %q", refusals, tc.want)
			}
		})
	}
}

// TestOwnSection: a section with a name of its own is for a second stack of a stage, which it names.
func TestOwnSection(t *testing.T) {
	const section = `
[look.deploy.parameters]
stack_name = "carrierlink-look"
region = "ap-southeast-2"
parameter_overrides = [%s]
`
	tests := []struct {
		name       string
		overrides  string
		parameters []string
		want       string
	}{
		{"no stage", ``, nil, "The section look of samconfig.toml must name Stage=staging or Stage=production: without it a new stack is a local one"},
		{"the stage is in the command line", ``, []string{"Stage=staging"}, "The section look of samconfig.toml must name Stage=staging or Stage=production: "},
		{"its name is no stage", `"Stage=look"`, nil, "Stage=look must be one of local, staging, production."},
		{"another stage", `"Stage=staging"`, []string{"Stage=production"}, "Stage=production is not the stage of this deployment, staging."},
		{"a stage", `"Stage=staging"`, nil, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "samconfig.toml")
			if err := os.WriteFile(path, fmt.Appendf(nil, section, tc.overrides), 0o600); err != nil {
				t.Fatal(err)
			}
			fine, out := checkFile(t, path, "look", large(), append([]string{alarmed}, tc.parameters...)...)
			if got := refusals(out); fine != (tc.want == "") || tc.want == "" && len(got) > 0 || tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want)) {
				t.Errorf("refusals = %q, want %q", got, tc.want)
			}
		})
	}
	// The section of the local stack names no stage.
	if fine, out := check(t, "local", large()); fine || !strings.Contains(out, "The section local of samconfig.toml must name Stage=staging or Stage=production: ") {
		t.Errorf("the stage local was not refused:\n%s", out)
	}
}

// TestNotes: what does not keep a deployment from working, but the operator should know.
func TestNotes(t *testing.T) {
	fresh := large()
	fresh.limit, fresh.free = 10, 10
	unconfirmed := large()
	unconfirmed.stacks = map[string]*stack{"carrierlink-staging": {status: "UPDATE_COMPLETE", parameters: map[string]string{
		"Stage": "staging", "RateLimitPerMinute": "100", "AlarmEmail": "ops@example.com",
	}}}
	unconfirmed.topics = []string{topicARN}
	unconfirmed.subscriptions[topicARN] = []subscription{{address: "ops@example.com", pending: true}}
	confirmed := unconfirmed
	confirmed.subscriptions = map[string][]subscription{topicARN: {{address: "ops@example.com"}}}
	unlisted := unconfirmed
	unlisted.topicsErr = &smithy.GenericAPIError{Code: "AccessDenied"}
	tests := []struct {
		name       string
		account    fakeAccount
		parameters []string
		want       []string
		absent     string
	}{
		{"a new account", fresh, []string{alarmed}, []string{"there is no stack", "runs at most 10 functions", "ConcurrencyAlarmThreshold=800 is more than the account allows", "alarms go to ops@example.com, once that person has confirmed"}, ""},
		{"a mail that was not confirmed", unconfirmed, nil, []string{"the stack exists", "ops@example.com has not confirmed", "alarms reach nobody"}, ""},
		{"a default that changed", unconfirmed, nil, []string{`RateLimitPerMinute changes from "100" to "200"`}, ""},
		{"a mail that was confirmed", confirmed, nil, []string{"alarms reach ops@example.com"}, "alarms go to"},
		{"another address", confirmed, []string{"AlarmEmail=new@example.com"}, []string{"alarms go to new@example.com, once that person has confirmed"}, "alarms reach"},
		{"an address instead of a topic", func() fakeAccount {
			a := confirmed
			a.topics = nil
			return a
		}(), nil, []string{"alarms go to ops@example.com, once that person has confirmed"}, "alarms reach"},
		{"credentials that may not list the stack's resources", unlisted, nil, []string{"cloudformation:ListStackResources), so the subscribers of the alarms were not checked"}, "alarms reach"},
		{"a topic with a subscriber", large(), []string{"AlarmTopicArn=" + topicARN}, []string{"alarms reach ops@example.com"}, "alarms go to"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			fine, out := check(t, "staging", tc.account, tc.parameters...)
			if !fine {
				t.Errorf("the deployment was refused:\n%s", out)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("the checklist lacks %q:\n%s", want, out)
				}
			}
			if tc.absent != "" && strings.Contains(out, tc.absent) {
				t.Errorf("the checklist also says %q:\n%s", tc.absent, out)
			}
		})
	}
}

// TestWithoutAWS: what can be refused without AWS is refused at once, and AWS is not asked.
func TestWithoutAWS(t *testing.T) {
	asked := errors.New("AWS was asked")
	tests := []struct {
		name       string
		parameters []string
		want       []string // one for each refusal; none: AWS is asked
	}{
		{"several mistakes", []string{
			"AlarmMail=x", "AlarmEmail=not-an-address", "Architecture=riscv", "AusPostBaseUrl=http://localhost", "RateLimitPerMinute=0",
			"RefreshReservedConcurrency=6", "ScheduleSpeed=2", "Stage=production", "WebAclArn=arn:aws:wafv2:us-east-1:123456789012:regional/webacl/x/1",
		}, []string{
			"no parameter AlarmMail", "AlarmEmail=not-an-address", "Architecture=riscv", "RateLimitPerMinute=0", "speed up", "Stage=production",
			"AusPostBaseUrl=http://localhost is not https", "RefreshReservedConcurrency=6", "WebAclArn is of us-east-1",
		}},
		{"a domain whose certificate is emptied", []string{"DomainName=api.example.com", "CertificateArn="}, []string{"DomainName needs CertificateArn"}},
		{"a certificate of another Region", []string{"DomainName=api.example.com", "CertificateArn=arn:aws:acm:us-east-1:123456789012:certificate/1"}, []string{"CertificateArn is of us-east-1"}},
		{"a topic of another Region", []string{"AlarmTopicArn=arn:aws:sns:us-east-1:123456789012:alarms"}, []string{"AlarmTopicArn is of us-east-1"}},

		{"nothing to refuse", []string{alarmed}, nil},
		{"an address that the stack may have", nil, nil},
		{"a certificate that the stack may have", []string{alarmed, "DomainName=api.example.com"}, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			list, err := newChecklist(filepath.Join(root, "template.yaml"), filepath.Join(root, "samconfig.toml"), "staging", tc.parameters)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			list.open, list.out = func(context.Context) (account, error) { return nil, asked }, &out
			fine, err := list.run(t.Context())
			if fine || errors.Is(err, asked) != (tc.want == nil) {
				t.Errorf("run() = %t, %v", fine, err)
			}
			got := refusals(out.String())
			if len(got) != len(tc.want) || strings.Contains(out.String(), "AWS was not asked") != (tc.want != nil) || strings.Contains(out.String(), "  ok ") {
				t.Errorf("%d refusals, want %d, in:\n%s", len(got), len(tc.want), out.String())
			}
			for i := range min(len(got), len(tc.want)) {
				if !strings.Contains(got[i], tc.want[i]) {
					t.Errorf("refusal %d = %q, want one with %q", i, got[i], tc.want[i])
				}
			}
		})
	}
}

// TestRefusedValueOfStack: nothing is said about a value of the stack that is refused.
func TestRefusedValueOfStack(t *testing.T) {
	a := large()
	a.stacks = map[string]*stack{"carrierlink-staging": {status: "UPDATE_COMPLETE", parameters: map[string]string{"AlarmEmail": "not-an-address"}}}
	if fine, out := check(t, "staging", a); fine || strings.Count(out, "not-an-address") != 1 {
		t.Errorf("check() = %t, want one line about the address:\n%s", fine, out)
	}
}

// own names the values of samconfig.toml that differ from the template's defaults on purpose, by stage.
var own = map[string]map[string]string{
	"staging":    {},
	"production": {"LogRetentionDays": "90"},
}

// TestSamconfig: samconfig.toml names every parameter whose default may change later, because CloudFormation keeps the value of
// a parameter that is not named.
func TestSamconfig(t *testing.T) {
	template, err := readTemplate(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for stage, different := range own {
		section, err := readSection(filepath.Join(root, "samconfig.toml"), stage)
		if err != nil {
			t.Fatal(err)
		}
		got, err := overrides(section.Overrides)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"Stage": stage}
		for name, parameter := range template.Parameters {
			// The Makefile passes Architecture. What is empty by default belongs to an installation.
			if parameter.Default == nil {
				t.Errorf("%s has no default: a stack that exists could not be updated", name)
			} else if *parameter.Default != "" && name != "Stage" && name != "Architecture" {
				want[name] = *parameter.Default
			}
		}
		maps.Copy(want, different)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("samconfig.toml, %s (-template +samconfig):\n%s", stage, diff)
		}
		if len(section.Overrides) != len(got) {
			t.Errorf("samconfig.toml, %s, names a parameter twice", stage)
		}
	}
}

// TestRules: the checklist can evaluate every rule and condition of the template. Emulators ignore rules.
func TestRules(t *testing.T) {
	template, err := readTemplate(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	values := template.defaults()
	if got := template.outside(values); len(got) > 0 {
		t.Errorf("defaults outside their limits: %q, want none", got)
	}
	if got := template.violations(values); len(got) > 0 {
		t.Errorf("violations of the defaults, of a local stack: %q, want none", got)
	}
	for name := range template.Conditions {
		if _, err := template.named(name, values); err != nil {
			t.Errorf("the condition %s: %v", name, err)
		}
	}
	for name, parameter := range template.Parameters {
		if parameter.AllowedPattern != "" && !strings.HasPrefix(parameter.ConstraintDescription, "must be ") {
			t.Errorf("%s has a pattern, and the ConstraintDescription %q, want one that begins with must be", name, parameter.ConstraintDescription)
		}
	}
	for name, rule := range template.Rules {
		if len(rule.Assertions) == 0 {
			t.Errorf("the rule %s asserts nothing", name)
		}
		for _, assertion := range rule.Assertions {
			if _, err := template.truth(&assertion.Assert, values); err != nil || assertion.Description == "" {
				t.Errorf("the rule %s: %v, description %q", name, err, assertion.Description)
			}
		}
	}
}

func TestExpressions(t *testing.T) {
	const text = `
Parameters:
  Number: {Type: Number, Default: 5}
  Text: {Type: String, Default: ""}
  Unknown: {Type: String, Default: ""}
Conditions:
  Five: !Equals [!Ref Number, "5"]
  Named: {Fn::Not: [{Condition: Five}]}
Rules:
  Rule:
    Assertions:
      - Assert: %s
        AssertDescription: broken
`
	tests := []struct{ expression, want string }{
		{`!Equals [!Ref Number, "5"]`, ""},
		{`!Equals [!Ref Number, "6"]`, "broken"},
		{`!Not [!Equals [!Ref Text, ""]]`, "broken"},
		{`!And [!Equals [!Ref Number, "5"], !Equals [!Ref Text, x]]`, "broken"},
		{`!Or [!Equals [!Ref Number, "5"], !Equals [!Ref Text, x]]`, ""},
		{`!Or [!Equals [!Ref Number, "6"], !Equals [!Ref Text, x]]`, "broken"},
		{`{Fn::Equals: [{Ref: Number}, "5"]}`, ""},
		{`{Fn::Contains: [[local, "5"], !Ref Number]}`, ""},
		{`{Fn::Contains: [[local, "50"], !Ref Number]}`, "broken"},
		{`!Condition Five`, ""},
		{`!Condition Named`, "broken"},
		{`!Equals [!Ref Absent, "5"]`, "cannot be checked here: there is no parameter Absent"},
		{`!Equals [!Ref Unknown, "5"]`, ""},
		{`!Condition Absent`, "cannot be checked here: there is no condition Absent"},
		{`!Equals [!Ref Number]`, "does not have two sides"},
		{`!Not []`, "has no condition"},
		{`!Equals [!Select [0, !Split [":", !Ref Text]], http]`, "uses Select, which this tool does not know"},
	}
	for _, tc := range tests {
		template, err := parseTemplate([]byte(strings.Replace(text, "%s", tc.expression, 1)))
		if err != nil {
			t.Fatalf("%s: %v", tc.expression, err)
		}
		got := template.violations(map[string]string{"Number": "5", "Text": ""})
		if tc.want == "" && len(got) > 0 || tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want)) {
			t.Errorf("violations of %s = %q, want %q", tc.expression, got, tc.want)
		}
	}
}

func TestOverrides(t *testing.T) {
	got, err := overrides([]string{"A=1", "B=", "A=x=y"})
	if diff := cmp.Diff(map[string]string{"A": "x=y", "B": ""}, got); diff != "" || err != nil {
		t.Errorf("overrides() (-want +got):\n%s\n%v", diff, err)
	}
	for _, item := range []string{"A", "=1", ""} {
		if _, err := overrides([]string{item}); err == nil {
			t.Errorf("overrides(%q) succeeded", item)
		}
	}
	if _, err := readSection(filepath.Join(root, "samconfig.toml"), "absent"); err == nil || !strings.Contains(err.Error(), "no section absent") {
		t.Errorf("readSection(absent) = %v", err)
	}
}

// TestStackName: with the longest name that the checklist accepts, the longest name of a function has 64 characters.
func TestStackName(t *testing.T) {
	template, err := readTemplate(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	folders, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	longest := slices.MaxFunc(folders, func(a, b os.DirEntry) int { return len(a.Name()) - len(b.Name()) }).Name()
	if got := template.longestStackName() + len("-"+longest); got != 64 {
		t.Errorf("a stack's longest name and -%s have %d characters, want 64", longest, got)
	}
	var out strings.Builder
	list := checklist{template: template, open: opening(large()), stage: "local", out: &out, section: section{StackName: strings.Repeat("x", template.longestStackName()+1), Region: "ap-southeast-2"}}
	if fine, err := list.run(t.Context()); fine || err != nil || !strings.Contains(out.String(), "The stack's name may have") {
		t.Errorf("run() = %t, %v, want a refusal:\n%s", fine, err, out.String())
	}
}
