package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// unreservedMinimum is what Lambda keeps for the functions that reserve nothing ("Configuring reserved concurrency for a
// function" in the developer guide of Lambda).
const unreservedMinimum = 100

// smallLimit is a limit of concurrency below which an account is new: AWS raises it on request, to 1,000 at first
// ("Lambda quotas" in the same guide).
const smallLimit = 200

// checklist checks, before anything changes, whether a deployment can work.
type checklist struct {
	template *template
	open     func(context.Context) (account, error)
	stage    string // the section's name
	section  section
	own      map[string]string // the parameters of the section
	named    map[string]string // the parameters of the command line
	out      io.Writer

	account  account           // once open has opened it
	existing *stack            // nil: the stack will be created
	values   map[string]string // of the parameters: the given ones at first, then of every parameter, as they will be
	refused  int
}

// newChecklist returns the checklist of a section of samconfig.toml and of the arguments of the command line. It lacks open and out.
func newChecklist(templatePath, samconfigPath, stage string, arguments []string) (*checklist, error) {
	template, err := readTemplate(templatePath)
	if err != nil {
		return nil, err
	}
	section, err := readSection(samconfigPath, stage)
	if err != nil {
		return nil, err
	}
	named, err := overrides(arguments)
	if err != nil {
		return nil, err
	}
	own, err := overrides(section.Overrides)
	if err != nil {
		return nil, err
	}
	return &checklist{template: template, stage: stage, section: section, own: own, named: named}, nil
}

// given returns the parameters that the deployment names, in the section or in the command line, which wins; a stack that exists
// keeps the values of the others.
func (c *checklist) given() map[string]string {
	given := make(map[string]string)
	maps.Copy(given, c.own)
	maps.Copy(given, c.named)
	return given
}

// run prints the checklist and returns whether the deployment may start. An error means that it could not find out. It asks AWS only
// if it has nothing to refuse without AWS.
func (c *checklist) run(ctx context.Context) (bool, error) {
	fmt.Fprintf(c.out, "Checklist of %s in %s\n", c.section.StackName, c.section.Region)
	c.names()
	c.values = c.given()
	c.parameters()
	if c.refused > 0 {
		fmt.Fprintf(c.out, "Nothing was changed, and AWS was not asked: %d of these must be mended first.\n", c.refused)
		return false, nil
	}
	if err := c.remote(ctx); err != nil {
		return false, err
	}
	if c.refused > 0 {
		fmt.Fprintf(c.out, "Nothing was changed: %d of these must be mended first.\n", c.refused)
	}
	return c.refused == 0, nil
}

// remote checks what needs AWS.
func (c *checklist) remote(ctx context.Context) error {
	opened, err := c.open(ctx)
	if err != nil {
		return err
	}
	c.account = opened
	number, arn, err := c.account.Caller(ctx)
	if err != nil {
		return unidentified(err)
	}
	c.ok("AWS account %s, as %s", number, arn)
	if err := c.stack(ctx); err != nil {
		return err
	}
	before := c.refused
	if !c.parameters() {
		return nil // a value that the stack has is not allowed any more, and what follows would rely on it
	}
	c.checkBackgroundWork()
	if c.refused == before {
		c.ok("each parameter is within its limits, and the rules of the template hold")
	}
	c.changes()
	if err := c.concurrency(ctx); err != nil {
		return err
	}
	c.domain(ctx)
	c.table(ctx)
	return c.alarms(ctx)
}

func (c *checklist) ok(format string, args ...any)   { c.line("ok", format, args...) }
func (c *checklist) note(format string, args ...any) { c.line("note", format, args...) }
func (c *checklist) refuse(format string, args ...any) {
	c.refused++
	c.line("REFUSED", format, args...)
}

func (c *checklist) line(kind, format string, args ...any) {
	fmt.Fprintf(c.out, "  %-8s %s\n", kind, fmt.Sprintf(format, args...))
}

// stack reads the stack and what its parameters will be.
func (c *checklist) stack(ctx context.Context) error {
	existing, err := c.account.Stack(ctx, c.section.StackName)
	if err != nil {
		return fmt.Errorf("reading the stack %s: %w", c.section.StackName, err)
	}
	switch {
	// A change set that `make diff` made for a stack that does not exist leaves this.
	case existing == nil || existing.status == "REVIEW_IN_PROGRESS":
		c.ok("there is no stack %s: it will be created", c.section.StackName)
	// Nothing of such a stack will remain, its parameters included.
	case existing.status == "ROLLBACK_IN_PROGRESS":
		c.refuse("The stack could not be created (%s): when the rollback has ended, delete it (%s), then deploy again.", existing.status, c.deletion())
	case strings.HasPrefix(existing.status, "ROLLBACK_"):
		c.refuse("The stack could not be created (%s): delete it (%s), then deploy again.", existing.status, c.deletion())
	case strings.HasSuffix(existing.status, "_IN_PROGRESS"):
		c.refuse("The stack is being changed (%s): wait until that has ended.", existing.status)
		c.existing = existing
	case strings.HasSuffix(existing.status, "_FAILED"):
		c.refuse("The stack is %s: mend that in CloudFormation's console first.", existing.status)
		c.existing = existing
	default:
		c.ok("the stack exists (%s): it will be updated", existing.status)
		c.existing = existing
	}
	c.values = c.template.defaults()
	if c.existing != nil {
		for name, value := range c.existing.parameters {
			if _, ok := c.template.Parameters[name]; ok {
				c.values[name] = value
			}
		}
	}
	maps.Copy(c.values, c.given())
	return nil
}

// deletion returns the command that deletes the stack.
func (c *checklist) deletion() string {
	return fmt.Sprintf(".cache/sam/bin/sam delete --stack-name %s --region %s", c.section.StackName, c.section.Region)
}

// names checks the names of the stack and of the given parameters.
func (c *checklist) names() {
	if name, longest := c.section.StackName, c.template.longestStackName(); len(name) > longest {
		c.refuse("The stack's name may have %d characters, %s has %d: the names of the functions begin with it.", longest, name, len(name))
	}
	known := slices.Sorted(maps.Keys(c.template.Parameters))
	for _, name := range slices.Sorted(maps.Keys(c.given())) {
		if slices.Contains(known, name) {
			continue
		}
		guess := ""
		if i := slices.IndexFunc(known, func(other string) bool { return near(name, other) }); i >= 0 {
			guess = " Did you mean " + known[i] + "?"
		}
		c.refuse("The template has no parameter %s. README.md, \"Settings\", lists them (case matters).%s", name, guess)
	}
}

// near says whether two names are the same but for case and one letter or two, side by side.
func near(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return max(len(a), len(b)) <= 2
}

// parameters checks the values that are known, and returns whether each is within its limits. It removes a value that is not, so
// that it is refused once.
func (c *checklist) parameters() bool {
	outside := c.template.outside(c.values)
	for _, name := range slices.Sorted(maps.Keys(outside)) {
		c.refuse("%s=%s %s.", name, c.values[name], outside[name])
		delete(c.values, name)
	}
	for _, violation := range c.template.violations(c.values) {
		c.refuse("%s", violation)
	}
	if outside["Stage"] == "" {
		c.checkStage()
	}
	// A rule of the template cannot say this: CloudFormation's rules only compare whole texts.
	if strings.HasPrefix(c.values["AusPostBaseUrl"], "http:") {
		c.refuse("AusPostBaseUrl=%s is not https: only a local stack may call the carrier without TLS.", c.values["AusPostBaseUrl"])
	}
	if worker := c.number("RefreshReservedConcurrency"); worker > 0 {
		if batches := c.number("RefreshConcurrency") + c.number("SandboxRefreshConcurrency"); worker < batches {
			c.refuse("RefreshReservedConcurrency=%d is less than the batches that are delivered at the same time, %d: Lambda would refuse them, and after five times they are dead letters.", worker, batches)
		}
	}
	c.regions()
	return len(outside) == 0
}

// regions refuses ARNs of another Region than the stack's.
func (c *checklist) regions() {
	if c.elsewhere("WebAclArn") {
		c.refuse("WebAclArn is of %s; a web ACL must be of the stack's Region.", region(c.values["WebAclArn"]))
	}
	if c.values["DomainName"] != "" && c.elsewhere("CertificateArn") {
		c.refuse("CertificateArn is of %s; the certificate must be of the stack's Region.", region(c.values["CertificateArn"]))
	}
	if c.elsewhere("AlarmTopicArn") {
		c.refuse("AlarmTopicArn is of %s; the topic must be of the stack's Region.", region(c.values["AlarmTopicArn"]))
	}
}

// elsewhere says whether a parameter is the ARN of something in another Region.
func (c *checklist) elsewhere(name string) bool {
	arn := c.values[name]
	return arn != "" && region(arn) != c.section.Region
}

// changes prints which values of the stack change.
func (c *checklist) changes() {
	if c.existing == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.template.Parameters)) {
		if now, ok := c.existing.parameters[name]; ok && now != c.values[name] {
			c.note("%s changes from %q to %q", name, now, c.values[name])
		}
	}
}

// checkStage refuses another Stage than the section's. A section with a name of its own is for a second stack of a stage.
func (c *checklist) checkStage() {
	own := c.own["Stage"]
	switch {
	case own == "":
		c.refuse("The section %s of samconfig.toml must name Stage=staging or Stage=production: without it a new stack is a local one, whose data nothing protects.", c.stage)
	case c.values["Stage"] == "local":
		c.refuse("Stage=local is only for the local stack, whose data nothing protects. The section %s of samconfig.toml must name Stage=staging or Stage=production.", c.stage)
	case own != c.values["Stage"]:
		c.refuse("Stage=%s is not the stage of this deployment, %s.", c.values["Stage"], own)
	}
}

// checkBackgroundWork refuses to start the work of a stack that may stand beside another one with the same secrets, unless the
// command line says so: its reconciler would settle what was unfinished in its table with secrets that the other one uses.
func (c *checklist) checkBackgroundWork() {
	if _, ok := c.named["BackgroundWork"]; ok || c.values["BackgroundWork"] != "enabled" {
		return
	}
	const remedy = `Write BackgroundWork=disabled into the section %s of samconfig.toml or, if no other stack uses its secrets, pass PARAMETERS="BackgroundWork=enabled".`
	switch {
	case c.before("BackgroundWork") == "disabled":
		c.refuse("BackgroundWork is disabled in the stack, and this deployment would enable it. "+remedy, c.stage)
	case c.foreign(c.values["SecretPrefix"]) && c.before("SecretPrefix") != c.values["SecretPrefix"]:
		c.refuse("This stack would begin to work in the background with the secrets of another one (SecretPrefix). "+remedy, c.stage)
	}
}

// foreign says whether a SecretPrefix is that of another stack's secrets.
func (c *checklist) foreign(prefix string) bool {
	return prefix != "" && prefix != c.section.StackName+"/carrier/"
}

// before returns the value of a parameter that the stack has now; empty if there is no stack.
func (c *checklist) before(name string) string {
	if c.existing == nil {
		return ""
	}
	return c.existing.parameters[name]
}

func (c *checklist) concurrency(ctx context.Context) error {
	wanted, err := c.template.reserved(c.values)
	if err != nil {
		return err
	}
	limit, unreserved, err := c.account.Concurrency(ctx)
	if denied(err) {
		c.note("your credentials may not read the account's concurrency (lambda:GetAccountSettings), so it was not checked")
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the account's concurrency: %w", err)
	}
	if limit < smallLimit {
		c.note("the AWS account runs at most %d functions at the same time, all stacks together; the schedule uses up to %d. Ask for 1,000 in Service Quotas: AWS Lambda, Concurrent executions", limit,
			c.number("RefreshConcurrency")+c.number("SandboxRefreshConcurrency")+c.number("ParcelConcurrency")+c.number("SandboxParcelConcurrency")+2)
	} else {
		c.ok("the AWS account runs up to %d functions at the same time", limit)
	}
	if threshold := c.number("ConcurrencyAlarmThreshold"); threshold > limit {
		c.note("ConcurrencyAlarmThreshold=%d is more than the account allows, so that alarm never rings", threshold)
	}
	if wanted == 0 {
		c.ok("no function reserves any of it")
		return nil
	}
	// What the functions of this stack have reserved already becomes free first.
	if c.existing != nil {
		before := c.template.defaults()
		maps.Copy(before, c.existing.parameters)
		held, err := c.template.reserved(before)
		if err != nil {
			return err
		}
		unreserved += held
	}
	if left := unreserved - wanted; left < unreservedMinimum {
		c.refuse("The functions reserve %d of the %d that are free, and Lambda keeps %d for functions that reserve nothing: reserve at most %d, or ask for more in Service Quotas.", wanted, unreserved, unreservedMinimum, max(0, unreserved-unreservedMinimum))
	} else {
		c.ok("the functions reserve %d of it, which leaves %d", wanted, left)
	}
	return nil
}

// number returns the value of a numeric parameter, and 0 for one that is not known.
func (c *checklist) number(name string) int {
	number, _ := strconv.Atoi(c.values[name])
	return number
}

// domain checks the certificate of the domain.
func (c *checklist) domain(ctx context.Context) {
	name, arn := c.values["DomainName"], c.values["CertificateArn"]
	if name == "" {
		c.ok("no domain of your own")
		return
	}
	if arn == "" || c.elsewhere("CertificateArn") {
		return // it was refused already
	}
	found, err := c.account.Certificate(ctx, arn)
	switch {
	case denied(err):
		c.note("your credentials may not read the certificate (acm:DescribeCertificate), so it was not checked")
	case err != nil:
		c.refuse("The certificate of %s could not be read: %v", name, err)
	case found.status != "ISSUED":
		c.refuse("The certificate of %s is %s, it must be ISSUED.", name, found.status)
	case !slices.ContainsFunc(found.names, func(pattern string) bool { return covers(pattern, name) }):
		c.refuse("The certificate is for %s, not for %s.", strings.Join(found.names, ", "), name)
	default:
		c.ok("the API will serve at https://%s, its certificate is valid for it", name)
	}
}

// covers says whether a name of a certificate stands for a domain: a star stands for one label.
func covers(pattern, name string) bool {
	if rest, ok := strings.CutPrefix(pattern, "*."); ok {
		_, parent, _ := strings.Cut(name, ".")
		return strings.EqualFold(rest, parent)
	}
	return strings.EqualFold(pattern, name)
}

// region returns the Region of an ARN.
func region(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) < 4 {
		return ""
	}
	return parts[3]
}

// table checks the table that the stack attaches to: with a wrong one it would deploy, and then every request would fail.
func (c *checklist) table(ctx context.Context) {
	if before := c.before("SecretPrefix"); c.foreign(before) && c.values["SecretPrefix"] == "" {
		c.refuse("The stack uses the secrets that begin with %s; without SecretPrefix no connection would have its credentials.", before)
	}
	name := c.values["TableName"]
	if name == "" {
		if before := c.before("TableName"); before != "" {
			c.refuse("The stack uses the table %s; without TableName it would make a new, empty one.", before)
		}
		return
	}
	found, err := c.account.Table(ctx, name)
	switch {
	case denied(err):
		c.note("your credentials may not read the table %s (dynamodb:DescribeTable), so it was not checked", name)
	case err != nil:
		c.refuse("The table %s could not be read: %v", name, err)
	case found == nil:
		c.refuse("There is no table %s in %s.", name, c.section.Region)
	case !usable(found.status):
		c.refuse("The table %s is %s, it must be ACTIVE.", name, found.status)
	default:
		missing := slices.DeleteFunc(c.template.indexes(), func(index string) bool { return usable(found.indexes[index]) })
		if len(missing) > 0 {
			c.refuse("The table %s is no table of this service, or is not ready: it must have the index %s, in the state ACTIVE.", name, strings.Join(missing, ", "))
			return
		}
		c.ok("the table %s exists and has its indexes", name)
		c.stream(name, found.stream)
	}
}

// stream checks that the events of a table that the stack attaches to are published.
func (c *checklist) stream(table, found string) {
	given, works := c.values["TableStreamLabel"], c.values["BackgroundWork"] == "enabled"
	switch {
	case found == "" && (works || given != ""):
		c.refuse("The table %s has no stream of new images, from which its events are published: see \"Restore from a backup\" in the runbook.", table)
	case given != found && (works || given != ""):
		c.refuse("TableStreamLabel must be that of the stream of the table %s, so that its events are published: %s", table, found)
	}
}

// usable says whether a table or an index with this status answers requests: it does so while its settings change.
func usable(status string) bool { return status == "ACTIVE" || status == "UPDATING" }

// alarms says whom they reach.
func (c *checklist) alarms(ctx context.Context) error {
	topic, address := c.values["AlarmTopicArn"], c.values["AlarmEmail"]
	switch {
	case topic == "" && address == "", c.elsewhere("AlarmTopicArn"):
		return nil // it was refused already
	case topic != "":
		if subscriptions, ok := c.subscriptions(ctx, topic); ok {
			c.reached(subscriptions)
		}
		return nil
	}
	if c.existing != nil {
		topics, err := c.account.Topics(ctx, c.section.StackName)
		if denied(err) {
			c.note("your credentials may not read the stack's resources (cloudformation:ListStackResources), so the subscribers of the alarms were not checked")
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the stack's topics: %w", err)
		}
		for _, topic := range topics {
			subscriptions, ok := c.subscriptions(ctx, topic)
			if !ok {
				return nil
			}
			// The deployment replaces the subscription of another address.
			subscriptions = slices.DeleteFunc(subscriptions, func(s subscription) bool { return s.address != address })
			if len(subscriptions) > 0 {
				c.reached(subscriptions)
				return nil
			}
		}
	}
	c.ok("alarms go to %s, once that person has confirmed the mail that AWS sends", address)
	return nil
}

// subscriptions returns the subscribers of the alarms' topic, or false if it has said why it cannot.
func (c *checklist) subscriptions(ctx context.Context, topic string) ([]subscription, bool) {
	found, err := c.account.Subscriptions(ctx, topic)
	switch {
	case denied(err):
		c.note("your credentials may not read the subscribers of the alarms (sns:ListSubscriptionsByTopic), so they were not checked")
		return nil, false
	case err != nil:
		c.refuse("The topic of the alarms, %s, could not be read: %v", topic, err)
		return nil, false
	}
	return found, true
}

// reached says which subscribers get the alarms.
func (c *checklist) reached(subscriptions []subscription) {
	some := false
	for _, s := range subscriptions {
		if s.pending {
			c.note("%s has not confirmed the mail of AWS, or has unsubscribed, and gets no alarms", s.address)
			continue
		}
		some = true
		c.ok("alarms reach %s", s.address)
	}
	if !some {
		c.note("alarms reach nobody until somebody confirms the mail that AWS sends")
	}
}
