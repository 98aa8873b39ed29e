// Bench measures the functions and compares them with a hello-world that is
// built with the same flags: size of the binary, time from the start of the
// process until it asks for its first event, peak memory under load. It exits
// with status 1 if a function exceeds a budget. The benchmarks of the functions
// measure requests; `make bench` runs both.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/lambdaproc"
)

// pairs is how many starts of each function are measured, each followed by one
// of the hello-world.
const pairs = 40

func main() {
	ok, err := run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if !ok {
		fmt.Fprintln(os.Stderr, "bench: a function exceeds a budget")
		os.Exit(1)
	}
}

func run(ctx context.Context) (bool, error) {
	root, err := emulator.Root()
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "carrierlink-bench-")
	if err != nil {
		return false, fmt.Errorf("making a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ok := true
	show := func(what, name string, value, budget float64, detail string) {
		verdict := "ok"
		if value > budget {
			verdict, ok = "OVER", false
		}
		fmt.Printf("%-7s %-24s %7.3f  (budget %6.2f, %s) %s\n", what, name, value, budget, detail, verdict)
	}

	arm, err := buildAll(ctx, root, "arm64", dir)
	if err != nil {
		return false, err
	}
	bytes, err := sizes(arm)
	if err != nil {
		return false, err
	}
	for _, f := range functions {
		show("size", f.name, float64(bytes[f.name])/float64(bytes["hello"]), f.size,
			fmt.Sprintf("× hello-world, arm64, %d of %d bytes", bytes[f.name], bytes["hello"]))
	}

	host, err := buildAll(ctx, root, runtime.GOARCH, dir)
	if err != nil {
		return false, err
	}
	env, err := environment(root, "http://127.0.0.1:9", "http://127.0.0.1:9", "http://127.0.0.1:9/shipping/v1")
	if err != nil {
		return false, err
	}
	for _, f := range functions {
		ours, base, err := starts(ctx, env, host[f.name], host["hello"])
		if err != nil {
			return false, err
		}
		show("start", f.name, float64(ours)/float64(base), f.start,
			fmt.Sprintf("× hello-world, median of %d pairs, %s of %s", pairs, ours.Round(10*time.Microsecond), base.Round(10*time.Microsecond)))
	}

	peaks, err := memory(ctx, root, host)
	if err != nil {
		return false, err
	}
	for _, p := range peaks {
		show("memory", p.name, float64(p.kib)/1024, 96, fmt.Sprintf("MB at the peak of %d requests", p.requests))
	}
	return ok, nil
}

// starts measures the starts of a function and of the hello-world by turns, and
// returns their medians.
func starts(ctx context.Context, env []string, function, hello string) (ours, base time.Duration, err error) {
	var times [2][]time.Duration
	for range pairs {
		for side, file := range []string{function, hello} {
			p, took, err := lambdaproc.Start(ctx, file, env, os.Stderr)
			if err != nil {
				return 0, 0, err
			}
			p.Kill()
			times[side] = append(times[side], took)
		}
	}
	slices.Sort(times[0])
	slices.Sort(times[1])
	return times[0][pairs/2], times[1][pairs/2], nil
}
