// Carrierlink-local runs the service on this machine, shows its main job and serves it: `make run`, `make demo`,
// `make sam-local`.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/local/stack"
)

const defaultPort = 8080

// The template's parameters on this machine. A day of the schedule takes a minute, an hour 2.5 s. Two refusals that are
// refusalGapSeconds apart mark a connection if the carrier has answered another account well; without another account
// refusals must continue for loneRefusalSeconds.
const (
	scheduleSpeed      = 24 * 60
	refusalGapSeconds  = 20
	loneRefusalSeconds = 60
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "carrierlink-local:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) != 1 || !slices.Contains([]string{"run", "demo", "sam-local"}, args[0]) {
		return errors.New("usage: carrierlink-local run|demo|sam-local")
	}
	command := args[0]
	port, err := portFromEnvironment()
	if err != nil {
		return err
	}
	root, err := emulator.Root()
	if err != nil {
		return err
	}
	name := os.Getenv("EMULATOR")
	if name == "" {
		name = stack.MiniStack
	}
	dir := filepath.Join(root, "infra/local/.run")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the directory of the local stack: %w", err)
	}
	// Each run has its own directory, so that two runs, on different ports, do not disturb each other.
	work, err := os.MkdirTemp(dir, "stack-")
	if err != nil {
		return fmt.Errorf("making the directory of the local stack: %w", err)
	}
	defer func() {
		if _, statErr := os.Stat(filepath.Join(work, "emulator")); statErr == nil && err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\nall logs are below %s", err, work)
			return
		}
		err = errors.Join(err, os.RemoveAll(work))
	}()

	fmt.Fprintf(out, "Starting carrierlink on %s. Logs are below %s.\n\n", name, work)
	bridge := ""
	options := stack.Options{
		Emulator: name, Dir: work, Port: port, Log: out, ScheduleSpeed: scheduleSpeed, RefusalGapSeconds: refusalGapSeconds, LoneRefusalSeconds: loneRefusalSeconds,
	}
	if command == "sam-local" {
		options.Port = 0 // sam serves at the port
		if bridge, err = dockerBridge(ctx); err != nil {
			return err
		}
	}
	service, err := stack.Up(ctx, options)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d of 127.0.0.1 is in use: stop the program that listens there, or choose another port: make %s PORT=%d", port, command, port+1)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Down()) }()

	keys, err := createPartners(ctx, service)
	if err != nil {
		return err
	}
	envFile := filepath.Join(dir, "env")
	env, err := writeEnv(envFile, service, keys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeEnv(envFile, env)) }()
	if command == "sam-local" {
		fmt.Fprintf(out, "\nsam local serves at http://127.0.0.1:%d until Ctrl-C. Keys are in %s.\n\n", port, envFile)
		return serveWithSAM(ctx, out, bridge, root, work, port, service)
	}
	account, results, err := mainJob(ctx, out, service.APIURL, keys)
	if err != nil {
		return err
	}
	if err := tour(ctx, out, service.APIURL, keys, account); err != nil {
		return err
	}
	if command == "run" {
		fmt.Fprintf(out, "\nServing at %s until Ctrl-C. Keys and addresses are in %s. Metrics are at %s, mails at %s.\n",
			service.APIURL, envFile, service.APIURL+stack.MetricsPath, service.APIURL+stack.MailsPath)
		fmt.Fprintf(out, "The merchant's account page is at %s/portal: sign in as %s with the password %q.\n", service.APIURL, merchantEmail, merchantPassword)
		select {
		case <-ctx.Done():
			fmt.Fprintln(out, "\nStopping.")
		case <-service.Done():
			return errors.New("the emulator has ended unexpectedly")
		}
		return nil
	}
	hooks, err := listen(ctx, out, service.APIURL, keys, work)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hooks.receiver.Stop()) }()
	if err := hooks.registerParcel(ctx, account); err != nil {
		return err
	}
	if err := showSchedule(ctx, out, service.APIURL, account); err != nil {
		return err
	}
	if err := hooks.show(ctx, account); err != nil {
		return err
	}
	if err := showMetrics(ctx, out, service); err != nil {
		return err
	}
	if err := service.Down(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nmain job: %s\n", strings.Join(results, ", "))
	return nil
}

// showMetrics prints the metrics of the run, as CloudWatch would have them.
func showMetrics(ctx context.Context, out io.Writer, service *stack.Stack) error {
	all, err := service.Metrics(ctx)
	if err != nil {
		return fmt.Errorf("reading the metrics: %w", err)
	}
	fmt.Fprintf(out, "\nThe metrics of this run. While a stack serves, they are at %s:\n\n", stack.MetricsPath)
	return all.Write(out)
}

func portFromEnvironment() (int, error) {
	text := os.Getenv("PORT")
	if text == "" {
		return defaultPort, nil
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("PORT is %q, want a port number such as %d", text, defaultPort)
	}
	return port, nil
}

// partnerKeys are the keys of the two partners that every local stack has.
type partnerKeys struct{ production, sandbox string }

func createPartners(ctx context.Context, service *stack.Stack) (partnerKeys, error) {
	production, err := service.CreatePartner(ctx, "Acme", "production")
	if err != nil {
		return partnerKeys{}, err
	}
	sandbox, err := service.CreatePartner(ctx, "Acme (sandbox)", "sandbox")
	if err != nil {
		return partnerKeys{}, err
	}
	return partnerKeys{production: production.APIKey, sandbox: sandbox.APIKey}, nil
}

// writeEnv writes addresses and keys for the developer's own scripts: `set -a; . infra/local/.run/env`. It returns what it
// wrote.
func writeEnv(path string, service *stack.Stack, keys partnerKeys) ([]byte, error) {
	text := fmt.Appendf(nil, "API_URL=%s\nPARTNER_API_KEY=%s\nSANDBOX_PARTNER_API_KEY=%s\nSIMULATOR_URL=%s\nTABLE_NAME=%s\nAWS_ENDPOINT_URL=%s\n",
		service.APIURL, keys.production, keys.sandbox, service.SimulatorURL, service.TableName, service.EmulatorURL)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("writing the addresses and keys: %w", err)
	}
	return text, nil
}

// removeEnv removes the addresses and keys of this run, which end with it. Those of another run, started later, stay.
func removeEnv(path string, env []byte) error {
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, env) {
		return nil //nolint:nilerr // somebody else has removed it
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the addresses and keys: %w", err)
	}
	return nil
}
