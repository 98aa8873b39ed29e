// Checklist prints what a deployment to AWS needs and refuses one that cannot work, before anything is changed. `make
// deploy` and `make diff` start with it.
//
//	go run ./checklist -stage staging -parameters FILE [Name=value ...]
//
// The parameters are those of the section of samconfig.toml, and those of the command line, which win. The merged
// ones go to FILE, for sam: its own command line would replace those of samconfig.toml altogether.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"gopkg.in/yaml.v3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "checklist:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("checklist", flag.ContinueOnError)
	root := flags.String("root", "../..", "the root of the repository")
	stage := flags.String("stage", "", "the section of samconfig.toml: staging, production or one of your own")
	file := flags.String("parameters", "", "where the merged parameters go")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *stage == "" {
		return errors.New("STAGE is empty: it names a section of samconfig.toml, such as STAGE=staging")
	}
	list, err := newChecklist(filepath.Join(*root, "template.yaml"), filepath.Join(*root, "samconfig.toml"), *stage, flags.Args())
	if err != nil {
		return err
	}
	list.open = func(ctx context.Context) (account, error) {
		return openAccount(ctx, list.section.Region, list.section.Profile)
	}
	list.out = out
	fine, err := list.run(ctx)
	if err != nil {
		return err
	}
	if !fine {
		return fmt.Errorf("%s cannot be deployed like this", list.section.StackName)
	}
	if err := writeParameters(*file, list.given()); err != nil {
		return fmt.Errorf("writing the parameters: %w", err)
	}
	return nil
}

// writeParameters writes the file that `sam deploy --parameter-overrides file://…` reads.
func writeParameters(path string, given map[string]string) error {
	text, err := yaml.Marshal(given)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
