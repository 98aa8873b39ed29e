package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"carrierlink/infra/local/stack"
)

// serveWithSAM serves the functions with `sam local start-api`, each in a container, until the context ends. They use the
// table and the secrets of the running stack, which they reach over Docker's bridge.
func serveWithSAM(ctx context.Context, out io.Writer, bridge, root, dir string, port int, service *stack.Stack) error {
	emulatorURL, err := expose(ctx, bridge, service.EmulatorURL)
	if err != nil {
		return err
	}
	carrierURL, err := expose(ctx, bridge, service.SimulatorURL)
	if err != nil {
		return err
	}
	image := exec.CommandContext(ctx, filepath.Join(root, "infra/local/tools/sam-image.sh"), stack.Architecture(), emulatorURL)
	if output, err := image.CombinedOutput(); err != nil {
		return fmt.Errorf("making the functions' image: %w\n%s", err, output)
	}

	// A deployment would resolve these references of the template.
	settings, err := json.Marshal(map[string]any{"Parameters": map[string]string{
		"TABLE_NAME":        service.TableName,
		"SECRET_PREFIX":     service.SecretPrefix,
		"SERVICE_SECRET_ID": service.ServiceSecretARN,
		"AUSPOST_BASE_URL":  carrierURL,
		"PUBLIC_URL":        "http://127.0.0.1:" + strconv.Itoa(port),
	}})
	if err != nil {
		return err
	}
	settingsFile := filepath.Join(dir, "sam-local.json")
	if err := os.WriteFile(settingsFile, settings, 0o600); err != nil {
		return fmt.Errorf("writing the functions' settings: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, ".cache/sam/bin/sam"), "local", "start-api",
		"--config-file", filepath.Join(root, "samconfig.toml"), "--config-env", "local",
		"--template", filepath.Join(dir, "build", "template.yaml"), "--env-vars", settingsFile,
		"--parameter-overrides", "Stage=local", "Architecture="+stack.Architecture(),
		"ScheduleSpeed="+strconv.Itoa(scheduleSpeed), "RefusalGapSeconds="+strconv.Itoa(refusalGapSeconds), "LoneRefusalSeconds="+strconv.Itoa(loneRefusalSeconds),
		"--host", "127.0.0.1", "--port", strconv.Itoa(port), "--skip-pull-image", "--warm-containers", "LAZY",
		"--region", service.Region)
	cmd.Env = service.Environment()
	cmd.Stdout, cmd.Stderr = out, out
	// sam removes its containers when it is interrupted.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("running sam local: %w", err)
	}
	return nil
}

// dockerBridge returns the address of this machine on Docker's default network.
func dockerBridge(ctx context.Context) (string, error) {
	if err := exec.CommandContext(ctx, "docker", "info").Run(); err != nil {
		return "", errors.New("no Docker engine is running: sam-local needs one; `make run` does not")
	}
	bridge, err := net.InterfaceByName("docker0")
	if err != nil {
		return "", fmt.Errorf("looking for Docker's bridge docker0: %w", err)
	}
	addresses, err := bridge.Addrs()
	if err != nil {
		return "", fmt.Errorf("looking for Docker's bridge docker0: %w", err)
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil {
			return network.IP.String(), nil
		}
	}
	return "", errors.New("the bridge docker0 has no IPv4 address")
}

// expose forwards requests from another address of this machine to a local URL, and returns the URL at that address.
func expose(ctx context.Context, address, local string) (string, error) {
	target, err := url.Parse(local)
	if err != nil {
		return "", err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return "", fmt.Errorf("listening on Docker's network: %w", err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		r.Out.Host = r.In.Host // the signature covers it
	}}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return "http://" + listener.Addr().String() + target.Path, nil
}
