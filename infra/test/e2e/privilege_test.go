package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/local/stack"
)

// grant is an action that a function's role allows on a resource.
type grant struct{ function, action, resource string }

func (g grant) String() string { return g.function + " " + g.action + " " + g.resource }

// unexercised are the grants that the suite does not use, each with the reason why the role needs it all the same.
var unexercised = map[grant]string{
	{"link-carrier", "secretsmanager:TagResource", "CarrierSecrets"}:             tagged,
	{"manage-connections", "secretsmanager:TagResource", "CarrierSecrets"}:       tagged,
	{"portal", "secretsmanager:TagResource", "CarrierSecrets"}:                   tagged,
	{"publish-events", "dynamodb:DescribeStream", "Table/stream"}:                streamed,
	{"publish-events", "dynamodb:GetRecords", "Table/stream"}:                    streamed,
	{"publish-events", "dynamodb:GetShardIterator", "Table/stream"}:              streamed,
	{"publish-events", "dynamodb:ListStreams", "*"}:                              streamed,
	{"queue-deliveries", "dynamodb:DescribeStream", "Table/stream"}:              streamed,
	{"queue-deliveries", "dynamodb:GetRecords", "Table/stream"}:                  streamed,
	{"queue-deliveries", "dynamodb:GetShardIterator", "Table/stream"}:            streamed,
	{"queue-deliveries", "dynamodb:ListStreams", "*"}:                            streamed,
	{"deliver-webhook", "sqs:DeleteMessage", "DeliveryQueue"}:                    polled,
	{"deliver-webhook", "sqs:GetQueueAttributes", "DeliveryQueue"}:               polled,
	{"deliver-webhook", "sqs:ReceiveMessage", "DeliveryQueue"}:                   polled,
	{"send-mail", "ses:SendEmail", "MailDomain"}:                                 verified,
	{"send-mail", "sqs:DeleteMessage", "MailQueue"}:                              polled,
	{"send-mail", "sqs:GetQueueAttributes", "MailQueue"}:                         polled,
	{"send-mail", "sqs:ReceiveMessage", "MailQueue"}:                             polled,
	{"refresh-carrier-account", "sqs:DeleteMessage", "RefreshQueue"}:             polled,
	{"refresh-carrier-account", "sqs:DeleteMessage", "SandboxRefreshQueue"}:      polled,
	{"refresh-carrier-account", "sqs:GetQueueAttributes", "RefreshQueue"}:        polled,
	{"refresh-carrier-account", "sqs:GetQueueAttributes", "SandboxRefreshQueue"}: polled,
	{"refresh-carrier-account", "sqs:ReceiveMessage", "RefreshQueue"}:            polled,
	{"refresh-carrier-account", "sqs:ReceiveMessage", "SandboxRefreshQueue"}:     polled,
	{"track-parcels", "sqs:DeleteMessage", "ParcelQueue"}:                        polled,
	{"track-parcels", "sqs:DeleteMessage", "SandboxParcelQueue"}:                 polled,
	{"track-parcels", "sqs:GetQueueAttributes", "ParcelQueue"}:                   polled,
	{"track-parcels", "sqs:GetQueueAttributes", "SandboxParcelQueue"}:            polled,
	{"track-parcels", "sqs:ReceiveMessage", "ParcelQueue"}:                       polled,
	{"track-parcels", "sqs:ReceiveMessage", "SandboxParcelQueue"}:                polled,
}

const (
	tagged   = "CreateSecret with tags needs it (API reference, CreateSecret, \"Required permissions\"); MiniStack does not ask for it"
	streamed = "Lambda reads the stream in the role's name (Developer Guide, \"Using AWS Lambda with Amazon DynamoDB\"); MiniStack reads it in no role's"
	verified = "SES asks for the domain if only that is verified, as operators may do; the local stack verifies the address"
	polled   = "Lambda reads the queue in the role's name (Developer Guide, \"Using Lambda with Amazon SQS\"); MiniStack reads it in no role's"
)

// leastPrivilege checks that the suite has used every action that the template grants to a role, on every resource, apart
// from unexercised. What AWS's own policies for logs and traces grant is not counted.
func leastPrivilege(ctx context.Context, whole bool) error {
	if emulatorName() != stack.MiniStack {
		return nil
	}
	granted, err := grants()
	if err != nil {
		return err
	}
	exercised, err := exercisedGrants(ctx)
	if err != nil {
		return err
	}
	var errs []error
	used := 0
	for _, g := range granted {
		_, excepted := unexercised[g]
		if exercised[g] {
			used++
		} else if !excepted && whole {
			errs = append(errs, fmt.Errorf("the template grants %s, which nothing used", g))
		}
	}
	for g := range unexercised {
		if !slices.Contains(granted, g) {
			errs = append(errs, fmt.Errorf("%s is an exception, but the template does not grant it", g))
		}
	}
	fmt.Fprintf(os.Stderr, "e2e: the roles have %d grants; the suite used %d, and %d are exceptions\n", len(granted), used, len(unexercised))
	return errors.Join(errs...)
}

// grants reads the policies of the functions in the template.
func grants() ([]grant, error) {
	text, err := emulator.File("template.yaml")
	if err != nil {
		return nil, err
	}
	var t struct {
		Resources map[string]struct {
			Properties struct {
				CodeURI  string `yaml:"CodeUri"`
				Policies []struct {
					Statement []struct {
						Action   yaml.Node `yaml:"Action"`
						Resource yaml.Node `yaml:"Resource"`
					} `yaml:"Statement"`
				} `yaml:"Policies"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	found := map[grant]bool{}
	for name, r := range t.Resources {
		for _, p := range r.Properties.Policies { // only functions have any
			for _, s := range p.Statement {
				for _, action := range elements(s.Action) {
					if strings.Contains(action.Value, "*") {
						return nil, fmt.Errorf("%s: %s is a wildcard", name, action.Value)
					}
					for _, resource := range elements(s.Resource) {
						on, err := resourceNamed(scalars(resource))
						if err != nil {
							return nil, fmt.Errorf("%s, %s: %w", name, action.Value, err)
						}
						found[grant{path.Base(r.Properties.CodeURI), action.Value, on}] = true
					}
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b grant) int { return strings.Compare(a.String(), b.String()) }), nil
}

// elements returns the elements of a sequence, or the only value.
func elements(n yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode && !strings.HasPrefix(n.Tag, "!If") {
		return n.Content
	}
	return []*yaml.Node{&n}
}

// scalars returns the texts of a node, with its functions.
func scalars(n *yaml.Node) string {
	texts := []string{n.Value}
	for _, c := range n.Content {
		texts = append(texts, scalars(c))
	}
	return strings.Join(texts, " ")
}

// resourceNamed returns what an ARN, or the template's expression for it, stands for.
func resourceNamed(text string) (string, error) {
	if text == "*" {
		return text, nil
	}
	if _, index, found := strings.Cut(text, "/index/"); found {
		if strings.Contains(index, "*") {
			return "", fmt.Errorf("%q is every index", text)
		}
		return "Table/" + strings.Fields(index)[0], nil // an !If has it twice
	}
	for _, r := range []struct{ name, text string }{
		{"Table/stream", "/stream/"},
		{"EventBus", "EventBus"},
		{"EventBus", ":event-bus/"},
		{"CarrierSecrets", "/carrier/"},
		{"ServiceSecret", "ServiceSecret"},
		{"ServiceSecret", ":secretsmanager:"},
		{"SandboxParcelQueue", "SandboxParcelQueue"},
		{"SandboxParcelQueue", "-parcels-sandbox"},
		{"ParcelQueue", "ParcelQueue"},
		{"ParcelQueue", "-parcels"},
		{"SandboxRefreshQueue", "SandboxRefreshQueue"},
		{"SandboxRefreshQueue", "-refresh-sandbox"},
		{"MailDomain", ":identity/${Domain}"},
		{"MailAddress", ":identity/"},
		{"MailQueue", "MailQueue"},
		{"MailQueue", "-mails"},
		{"DeliveryQueue", "DeliveryQueue"},
		{"DeliveryQueue", "-deliveries"},
		{"RefreshDeadLetterQueue", "RefreshDeadLetterQueue"},
		{"RefreshDeadLetterQueue", "-refresh-dead-letter"},
		{"RefreshQueue", "RefreshQueue"},
		{"RefreshQueue", "-refresh"},
		{"Table", "Table"},
		{"Table", ":table/"},
	} {
		if strings.Contains(text, r.text) {
			return r.name, nil
		}
	}
	return "", fmt.Errorf("%q is no resource that this test knows", text)
}

// exercisedGrants returns what the functions have used, as MiniStack has seen it. Calls of this suite in the roles of
// functions do not count.
func exercisedGrants(ctx context.Context) (map[grant]bool, error) {
	functions := map[string]string{} // by the role's name
	for function := range service.FunctionNames {
		arn, err := roleOf(ctx, function)
		if err != nil {
			return nil, err
		}
		functions[arn[strings.LastIndex(arn, "/")+1:]] = function
	}
	text, err := os.ReadFile(service.Actions())
	if err != nil {
		return nil, fmt.Errorf("reading what IAM has allowed: %w", err)
	}
	exercised := map[grant]bool{}
	for line := range strings.Lines(string(text)) {
		var principal, action, resource string
		if _, err := fmt.Sscan(line, &principal, &action, &resource); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		_, session, _ := strings.Cut(principal, ":assumed-role/")
		role, name, _ := strings.Cut(session, "/")
		if functions[role] == "" || name == "e2e" {
			continue
		}
		on, err := resourceNamed(resource)
		if err != nil {
			continue // such as its log group
		}
		exercised[grant{functions[role], action, on}] = true
	}
	return exercised, nil
}
