package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"carrierlink/infra/local/emulator"
)

// htmlChecker is a running Nu HTML checker.
type htmlChecker struct {
	url     string
	process *exec.Cmd
	input   io.Closer
	log     bytes.Buffer
	mu      sync.Mutex
	checked map[string][]string // by document: views of the same page are checked once
}

// untilClosed runs a command until its own standard input ends, which is at the latest when the process that started it does.
const untilClosed = `"$@" </dev/null & child=$!; read -r _; kill -KILL "$child"`

// startHTMLChecker starts the checker whose jars are in a folder.
func startHTMLChecker(ctx context.Context, jars string) (*htmlChecker, error) {
	if found, _ := filepath.Glob(filepath.Join(jars, "validator-*.jar")); len(found) == 0 {
		return nil, fmt.Errorf("the HTML checker is missing in %s: `make tools` installs it", jars)
	}
	port, err := emulator.FreePort(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting the HTML checker: %w", err)
	}
	c := &htmlChecker{url: fmt.Sprintf("http://127.0.0.1:%d/", port), checked: map[string][]string{}}
	c.process = exec.Command("/bin/sh", "-c", untilClosed, "sh", //nolint:noctx // ends with close
		"java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dnu.validator.servlet.bind-address=127.0.0.1",
		"-cp", filepath.Join(jars, "*"), "nu.validator.servlet.Main", strconv.Itoa(port))
	c.process.Stdout, c.process.Stderr = &c.log, &c.log
	if c.input, err = c.process.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting the HTML checker: %w", err)
	}
	if err := c.process.Start(); err != nil {
		return nil, fmt.Errorf("starting the HTML checker: %w", err)
	}
	// The first document tells whether it checks at all.
	if err := c.waitReady(ctx); err != nil {
		c.close()
		return nil, fmt.Errorf("starting the HTML checker: %w\n%s", err, c.log.String())
	}
	return c, nil
}

func (c *htmlChecker) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		_, err := c.ask(ctx, "<!DOCTYPE html><html lang=en><title>ready</title>")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *htmlChecker) close() {
	_ = c.input.Close()
	_ = c.process.Wait()
}

// misjudged are errors of the checker, which is of 2020, that the standard no longer has.
var misjudged = []string{ // never changes
	// The field that a password manager fills with the email belongs to the control group "username", with type=email.
	`The autofill field name “username” is not allowed in this context.`,
}

// check returns the errors of a document.
func (c *htmlChecker) check(ctx context.Context, document string) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.checked[document]; ok {
		return found, nil
	}
	found, err := c.ask(ctx, document)
	if err != nil {
		return nil, fmt.Errorf("checking the HTML: %w", err)
	}
	c.checked[document] = found
	return found, nil
}

func (c *htmlChecker) ask(ctx context.Context, document string) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"?out=json", strings.NewReader(document))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "text/html; charset=utf-8")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Messages []struct {
			Type     string `json:"type"`
			Message  string `json:"message"`
			Extract  string `json:"extract"`
			LastLine int    `json:"lastLine"`
		} `json:"messages"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", response.Status, err)
	}
	var found []string
	for _, m := range answer.Messages {
		tolerated := slices.ContainsFunc(misjudged, func(text string) bool { return strings.HasSuffix(m.Message, text) })
		if m.Type != "info" && !tolerated {
			found = append(found, fmt.Sprintf("line %d: %s %s", m.LastLine, m.Message, strings.TrimSpace(m.Extract)))
		}
	}
	return found, nil
}
