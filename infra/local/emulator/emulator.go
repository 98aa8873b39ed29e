// Package emulator starts and stops the programs that stand in for AWS on a developer's machine and in tests, each on a
// port of its own: DynamoDB Local (the strictest one for the table's code), MiniStack (the default) and LocalStack (a second
// implementation to compare with).
//
// `make tools` installs them into .cache/ at the root of the repository.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Region is the AWS region of every emulator.
const Region = "ap-southeast-2"

// The credentials of the emulated account's root user.
const (
	AccessKeyID     = "test"
	SecretAccessKey = "test"
)

const localStackImage = "localstack/localstack:4.14.0"

// Options say where an emulator keeps its files and where it listens. The zero value is usable.
type Options struct {
	// Root is the root of the repository. Empty: the one that Root finds.
	Root string
	// Dir is the directory for logs and scratch files. Empty: a temporary one, removed by Stop.
	Dir string
	// Port is the port on 127.0.0.1. 0: a free one.
	Port int
	// MailURL is what functions on LocalStack, which has no SES v2, send mails to. Empty: LocalStack.
	MailURL string
}

// StartDynamoDBLocal starts Amazon's DynamoDB Local, in memory and with one database for all callers.
// It listens on every interface of the machine, because it has no option to restrict that.
func StartDynamoDBLocal(ctx context.Context, opts Options) (*Process, error) {
	return start(ctx, "dynamodb-local", opts, func(root, _ string, port int) (command, error) {
		jars := filepath.Join(root, ".cache", "dynamodb-local")
		if err := requireTools(filepath.Join(jars, ".complete")); err != nil {
			return command{}, err
		}
		java, err := exec.LookPath("java")
		if err != nil {
			return command{}, errors.New("java is missing: install a JDK, version 17 or later")
		}
		return command{
			args: []string{
				java, "-Xmx256m", "-Djava.library.path=" + jars, "-Dsqlite4java.library.path=" + jars,
				"-cp", jars + "/*", "software.amazon.dynamodb.services.local.main.ServerRunner",
				"-inMemory", "-sharedDb", "-disableTelemetry", "-port", strconv.Itoa(port),
			},
			// It refuses an unsigned request, which is an answer too.
			health: "/",
		}, nil
	})
}

// StartMiniStack starts MiniStack with IAM enforced: functions may only do what their roles allow.
func StartMiniStack(ctx context.Context, opts Options) (*Process, error) {
	return start(ctx, "ministack", opts, func(root, dir string, port int) (command, error) {
		python := filepath.Join(root, ".cache", "ministack", "bin", "python")
		if err := requireTools(filepath.Join(root, ".cache", "ministack", ".complete")); err != nil {
			return command{}, err
		}
		return command{
			args: []string{python, filepath.Join(root, "infra/local/emulator/run_ministack.py")},
			env: []string{
				"GATEWAY_PORT=" + strconv.Itoa(port),
				"BIND_HOST=127.0.0.1",
				"AUTH=true",
				"IOT_MTLS_ENABLED=0",
				"SFTP_ENABLED=0",
				"FUNCTION_LOGS=" + filepath.Join(dir, "functions"),
				// Functions inherit this environment. Without the address their SDK would call the real AWS.
				"AWS_ENDPOINT_URL=" + localURL(port),
				"AWS_ACCESS_KEY_ID=" + AccessKeyID,
				"AWS_SECRET_ACCESS_KEY=" + SecretAccessKey,
				"AWS_REGION=" + Region,
				"AWS_DEFAULT_REGION=" + Region,
			},
			health: "/_ministack/health",
		}, nil
	})
}

// StartLocalStack starts LocalStack: from its image if a Docker engine has it, otherwise from the package that
// `make tools` installed. Both run functions as processes, without Docker, and do not enforce IAM.
func StartLocalStack(ctx context.Context, opts Options) (*Process, error) {
	return start(ctx, "localstack", opts, func(root, dir string, port int) (command, error) {
		env := []string{
			"GATEWAY_LISTEN=127.0.0.1:" + strconv.Itoa(port),
			// The default server ignores the address above and binds every interface.
			"GATEWAY_SERVER=hypercorn",
			"LOCALSTACK_HOST=127.0.0.1:" + strconv.Itoa(port),
			"DNS_ADDRESS=0",
			"DISABLE_EVENTS=1",
			"SKIP_SSL_CERT_DOWNLOAD=1",
			"DYNAMODB_IN_MEMORY=1",
			// The default one makes streams with a server for Kinesis, which it would download.
			"PROVIDER_OVERRIDE_DYNAMODB=v2",
			"PROVIDER_OVERRIDE_DYNAMODBSTREAMS=v2",
			"AWS_DEFAULT_REGION=" + Region,
			"FUNCTION_MAIL_URL=" + opts.MailURL,
		}
		script := filepath.Join(root, "infra/local/emulator/run_localstack.py")
		if hasLocalStackImage(ctx) {
			return localStackContainer(script, dir, port, env), nil
		}
		home := filepath.Join(root, ".cache", "localstack")
		jars := filepath.Join(root, ".cache", "dynamodb-local")
		if err := requireTools(filepath.Join(home, ".complete"), filepath.Join(jars, ".complete")); err != nil {
			return command{}, err
		}
		return command{
			args: []string{filepath.Join(home, "bin", "python"), script},
			env: append(env,
				"OVERRIDE_IN_DOCKER=0",
				"FILESYSTEM_ROOT="+filepath.Join(dir, "filesystem"),
				"FUNCTION_LOGS="+filepath.Join(dir, "functions"),
				"DYNAMODB_JARS="+jars,
			),
			health: "/_localstack/health",
		}, nil
	})
}

// hasLocalStackImage tells whether a Docker engine has the image, which needs no tools.
func hasLocalStackImage(ctx context.Context) bool {
	return exec.CommandContext(ctx, "docker", "image", "inspect", localStackImage).Run() == nil
}

func localStackContainer(script, dir string, port int, env []string) command {
	name := "carrierlink-localstack-" + strconv.Itoa(port)
	args := []string{
		"docker", "run", "--rm", "--name", name, "--network", "host",
		"--volume", script + ":/opt/carrierlink/run_localstack.py:ro",
		"--volume", filepath.Join(dir, "functions") + ":/opt/carrierlink/functions",
		"--env", "FUNCTION_LOGS=/opt/carrierlink/functions",
	}
	for _, setting := range env {
		args = append(args, "--env", setting)
	}
	args = append(args, "--entrypoint", "/opt/code/localstack/.venv/bin/python",
		localStackImage, "/opt/carrierlink/run_localstack.py")
	return command{
		args: args,
		// docker reads its own configuration from the home directory.
		env:     []string{"HOME=" + os.Getenv("HOME"), "DOCKER_HOST=" + os.Getenv("DOCKER_HOST")},
		cleanup: "docker rm --force " + name,
		health:  "/_localstack/health",
	}
}

// Config returns the configuration of SDK clients that act as the root user of the emulator.
func Config(url string) aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(url),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey}, nil
		}),
	}
}

// Root finds the root of the repository: the working directory, or the nearest folder above it with a template.yaml.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "template.yaml")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("finding the repository: no template.yaml in the working directory or above it")
		}
		dir = parent
	}
}

// File reads a file of the repository; path is from its root.
func File(path string) ([]byte, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(root, path))
}

// The ports that FreePort chooses from. From 32768 upwards Linux gives ports to outgoing connections and to servers that
// ask for any port (net.ipv4.ip_local_port_range). Such a port could be taken before the emulator listens on it, and the
// other program would answer instead.
const (
	firstPort = 10_000
	lastPort  = 32_767
)

// FreePort returns a port of 127.0.0.1 on which no program listens at the moment.
func FreePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	var err error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		var listener net.Listener
		if listener, err = config.Listen(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("looking for a free port: %w", err)
}

func requireTools(markers ...string) error {
	for _, marker := range markers {
		if _, err := os.Stat(marker); err != nil {
			return fmt.Errorf("%s is not installed: run `make tools`", filepath.Base(filepath.Dir(marker)))
		}
	}
	return nil
}

func localURL(port int) string {
	return "http://127.0.0.1:" + strconv.Itoa(port)
}

// waitForAnswer waits until the URL answers with a status below 500.
func waitForAnswer(ctx context.Context, url string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode < http.StatusInternalServerError {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
