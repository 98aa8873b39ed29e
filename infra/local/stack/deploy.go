package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"carrierlink/infra/local/emulator"
)

// stackName is the name of the CloudFormation stack. The names of the secrets begin with it.
const stackName = "carrierlink-local"

// bucket is where sam puts the functions' archives, once for all stacks of an account.
const bucket = "carrierlink-local-deployments"

// deployment builds template.yaml and deploys it to an emulated account.
type deployment struct {
	root, dir string
	stackName string
	account   account
	idle      bool // BackgroundWork is disabled
}

// deployed is the result of a deployment.
type deployed struct {
	outputs   map[string]string
	functions map[string]string // folder to deployed name
	routes    int
}

// build builds the functions with `make build` into this stack's own directory, so that several stacks can be built at
// the same time.
func (d deployment) build(ctx context.Context) error {
	return d.command(ctx, "building the functions", os.Environ(),
		"make", "--no-print-directory", "build", "STAGE=local", "ARCHITECTURE="+Architecture(), "BUILD_DIR="+d.buildDir())
}

func (d deployment) buildDir() string { return filepath.Join(d.dir, "build") }

// makeBucket makes the bucket. sam would make it in a separate stack, and wait for it for 15 s.
func (a account) makeBucket(ctx context.Context) error {
	if _, err := a.call(ctx, call{service: "s3", method: http.MethodPut, path: "/" + bucket, body: []byte(
		"<CreateBucketConfiguration><LocationConstraint>" + emulator.Region + "</LocationConstraint></CreateBucketConfiguration>",
	)}); err != nil {
		return fmt.Errorf("making the bucket for the functions: %w", err)
	}
	return nil
}

func (d deployment) deploy(ctx context.Context, parameters map[string]string) (deployed, error) {
	args := []string{
		filepath.Join(d.root, ".cache/sam/bin/sam"), "deploy",
		"--config-file", filepath.Join(d.root, "samconfig.toml"), "--config-env", "local",
		"--template-file", filepath.Join(d.buildDir(), "template.yaml"),
		"--stack-name", d.stackName,
		"--no-resolve-s3", "--s3-bucket", bucket,
		"--parameter-overrides",
	}
	for name, value := range parameters {
		args = append(args, name+"="+value)
	}
	if err := d.command(ctx, "deploying template.yaml", awsEnvironment(d.account.url), args...); err != nil {
		return deployed{}, err
	}
	result, err := d.inspect(ctx)
	if err != nil {
		return deployed{}, fmt.Errorf("inspecting the deployment: %w", err)
	}
	return result, nil
}

// awsEnvironment returns this process's environment with the emulator instead of any AWS account that it names.
func awsEnvironment(emulatorURL string) []string {
	env := slices.DeleteFunc(os.Environ(), func(setting string) bool { return strings.HasPrefix(setting, "AWS_") })
	return append(env,
		"AWS_ENDPOINT_URL="+emulatorURL,
		"AWS_ACCESS_KEY_ID="+emulator.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY="+emulator.SecretAccessKey,
		"AWS_REGION="+emulator.Region,
		"AWS_DEFAULT_REGION="+emulator.Region,
		"AWS_CONFIG_FILE=/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"NO_PROXY=127.0.0.1",
		"SAM_CLI_TELEMETRY=0",
		// The default of sam is 5 s.
		"SAM_CLI_POLL_DELAY=0.5",
	)
}

// command runs a program at the root of the repository. The error of a failure has its output. The end of the context
// kills the program and its children.
func (d deployment) command(ctx context.Context, doing string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = d.root
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	output, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("%s: %w\n%s", doing, err, bytes.TrimSpace(output))
	}
	return nil
}

// inspect compares the emulator's resources with the template. A difference is an error: emulators have reported success
// for a template although they ignored half of it.
func (d deployment) inspect(ctx context.Context) (deployed, error) {
	want, err := readTemplate(filepath.Join(d.root, "template.yaml"))
	if err != nil {
		return deployed{}, err
	}
	var result deployed
	if result.outputs, err = d.outputs(ctx); err != nil {
		return deployed{}, err
	}
	made, err := d.resources(ctx)
	if err != nil {
		return deployed{}, err
	}
	if result.functions, err = d.functions(ctx, want.functions, made); err != nil {
		return deployed{}, err
	}
	routes, err := d.routes(ctx, result.outputs["ApiId"])
	if err != nil {
		return deployed{}, err
	}
	for _, route := range want.routes {
		if !slices.Contains(routes, route) {
			return deployed{}, fmt.Errorf("the deployed API lacks the route %s", route)
		}
	}
	result.routes = len(want.routes)
	if err := d.checkBackground(ctx, want, made, result.outputs["TableName"]); err != nil {
		return deployed{}, err
	}
	return result, nil
}

func (d deployment) outputs(ctx context.Context) (map[string]string, error) {
	body, err := d.cloudFormation(ctx, "DescribeStacks")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Outputs []struct {
			Key   string `xml:"OutputKey"`
			Value string `xml:"OutputValue"`
		} `xml:"DescribeStacksResult>Stacks>member>Outputs>member"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("reading the stack's outputs: %w", err)
	}
	outputs := make(map[string]string)
	for _, output := range answer.Outputs {
		outputs[output.Key] = output.Value
	}
	for _, name := range []string{"ApiId", "TableName", "SecretPrefix", "ServiceSecretArn", "RefreshQueueUrl", "SandboxRefreshQueueUrl", "RefreshDeadLetterQueueUrl", "EventBusName"} {
		if outputs[name] == "" {
			return nil, fmt.Errorf("the stack has no output %s", name)
		}
	}
	return outputs, nil
}

// resources returns the deployed names of the stack's resources by their logical ids.
func (d deployment) resources(ctx context.Context) (map[string]string, error) {
	body, err := d.cloudFormation(ctx, "DescribeStackResources")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Resources []struct {
			LogicalID  string `xml:"LogicalResourceId"`
			PhysicalID string `xml:"PhysicalResourceId"`
		} `xml:"DescribeStackResourcesResult>StackResources>member"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("reading the stack's resources: %w", err)
	}
	made := make(map[string]string)
	for _, resource := range answer.Resources {
		made[resource.LogicalID] = resource.PhysicalID
	}
	return made, nil
}

// functions waits until all wanted functions can be invoked, and maps their folders to their deployed names. want maps
// logical ids to folders, made logical ids to deployed names.
func (d deployment) functions(ctx context.Context, want, made map[string]string) (map[string]string, error) {
	names := make(map[string]string)
	for id, folder := range want {
		name, ok := made[id]
		if !ok {
			return nil, fmt.Errorf("the stack lacks the function %s", id)
		}
		if err := d.waitActive(ctx, name); err != nil {
			return nil, err
		}
		names[folder] = name
	}
	return names, nil
}

func (d deployment) waitActive(ctx context.Context, function string) error {
	for range 100 {
		body, err := d.account.call(ctx, call{service: "lambda", method: http.MethodGet, path: "/2015-03-31/functions/" + function})
		if err != nil {
			return err
		}
		var answer struct {
			Configuration struct {
				State string `json:"State"`
			} `json:"Configuration"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return fmt.Errorf("reading the state of %s: %w", function, err)
		}
		if answer.Configuration.State == "Active" {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("the function %s did not become active", function)
}

// routes lists the API's routes as "POST /v1/partners/accounts".
func (d deployment) routes(ctx context.Context, apiID string) ([]string, error) {
	body, err := d.account.call(ctx, call{
		service: "apigateway", method: http.MethodGet, path: "/restapis/" + apiID + "/resources",
		query: url.Values{"embed": {"methods"}, "limit": {"500"}},
	})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Item []struct {
			Path            string                     `json:"path"`
			ResourceMethods map[string]json.RawMessage `json:"resourceMethods"`
		} `json:"item"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("reading the API's routes: %w", err)
	}
	var routes []string
	for _, resource := range answer.Item {
		for method := range resource.ResourceMethods {
			routes = append(routes, method+" "+resource.Path)
		}
	}
	return routes, nil
}

func (d deployment) cloudFormation(ctx context.Context, action string) ([]byte, error) {
	return d.account.call(ctx, call{
		service: "cloudformation", method: http.MethodPost, path: "/", contentType: "application/x-www-form-urlencoded",
		body: []byte(url.Values{"Action": {action}, "Version": {"2010-05-15"}, "StackName": {d.stackName}}.Encode()),
	})
}
