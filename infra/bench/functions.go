package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"carrierlink/infra/test/lambdaproc"
)

// functions are the folders of functions/ with their budgets: the size of the
// binary and the time of the start, as ratios to the hello-world's.
var functions = []struct {
	name        string
	size, start float64
}{
	{"create-account", 1.45, 1.5},
	{"link-carrier", 1.45, 1.5},
	{"get-carrier-account", 1.45, 1.5},
	{"manage-accounts", 1.45, 1.5},
	{"manage-api-keys", 1.45, 1.5},
	{"list-carriers", 1.45, 1.5},
	{"list-events", 1.45, 1.5},
	{"manage-webhooks", 1.45, 1.5},
	{"validate-carrier", 1.45, 1.5},
	{"manage-connections", 1.45, 1.5},
	{"track-shipments", 1.45, 1.5},
	{"manage-parcels", 1.45, 1.5},
	{"track-parcels", 1.45, 1.5},
	{"manage-logins", 1.45, 1.5},
	{"portal", 1.75, 1.5},
	{"publish-events", 1.45, 1.5},
	{"queue-deliveries", 1.45, 1.5},
	{"deliver-webhook", 1.45, 1.5},
	{"send-mail", 1.45, 1.5},
	{"schedule-refresh", 1.45, 1.5},
	{"refresh-carrier-account", 1.45, 1.5},
	{"reconcile", 1.45, 1.5},
	{"describe-api", 1.15, 1.5},
}

// hello is the hello-world's folder, relative to the root of the repository.
const hello = "infra/bench/hello"

// buildAll builds the hello-world and every function into dir, and returns
// their paths by name.
func buildAll(ctx context.Context, root, arch, dir string) (map[string]string, error) {
	files := map[string]string{"hello": filepath.Join(dir, "hello")}
	if err := lambdaproc.Build(ctx, root, hello, arch, files["hello"]); err != nil {
		return nil, err
	}
	for _, f := range functions {
		files[f.name] = filepath.Join(dir, f.name)
		if err := lambdaproc.Build(ctx, root, "functions/"+f.name, arch, files[f.name]); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// sizes returns the sizes of the files in bytes, by name.
func sizes(files map[string]string) (map[string]int64, error) {
	out := map[string]int64{}
	for name, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return nil, fmt.Errorf("reading a size: %w", err)
		}
		out[name] = info.Size()
	}
	return out, nil
}
