// Bill prints what a month of the service costs on AWS (make cost), or writes the tables
// of the README.
package main

import (
	"flag"
	"fmt"
	"os"

	"carrierlink/infra/cost"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

func run() error {
	connections := flag.String("connections", "0", "linked charge accounts, each with a merchant account of its own")
	policy := flag.String("policy", string(cost.Daily), "their refresh policy: hourly, daily, off")
	calls := flag.String("calls", "0", "requests of callers in the month")
	template := flag.String("template", "template.yaml", "the template of the stack")
	readme := flag.String("readme", "", "write the tables of this document instead of printing a bill")
	flag.Parse()
	counts, err := cost.LoadCounts()
	if err != nil {
		return err
	}
	prices, err := cost.LoadPrices()
	if err != nil {
		return err
	}
	stack, err := cost.ReadStack(*template)
	if err != nil {
		return err
	}
	if *readme != "" {
		return write(*readme, counts, prices, stack)
	}
	use := cost.Use{Policy: cost.Policy(*policy)}
	if use.Connections, err = cost.Parse(*connections); err != nil {
		return fmt.Errorf("CONNECTIONS: %w", err)
	}
	if use.Calls, err = cost.Parse(*calls); err != nil {
		return fmt.Errorf("CALLS: %w", err)
	}
	bill, err := cost.Compute(use, counts, prices, stack)
	if err != nil {
		return err
	}
	return cost.Print(os.Stdout, bill, prices, stack)
}

func write(path string, counts cost.Counts, prices cost.Prices, stack cost.Stack) error {
	text, err := cost.Markdown(counts, prices, stack, cost.Shown)
	if err != nil {
		return err
	}
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	next, err := cost.Replace(string(document), text)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(next), 0o644)
}
