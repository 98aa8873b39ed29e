package vault_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/infra/local/emulator"
	"carrierlink/shared/vault/vaulttest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("Memory", func(t *testing.T) {
		t.Parallel()
		vaulttest.Run(t, vaulttest.NewMemory())
	})
	t.Run("Memory that keeps versions", func(t *testing.T) {
		t.Parallel()
		vaulttest.Run(t, &vaulttest.Memory{KeepsUnlabelled: true, EndsPending: true})
	})
	name, start := "MiniStack", emulator.StartMiniStack
	if os.Getenv("EMULATOR") == "localstack" {
		name, start = "LocalStack", emulator.StartLocalStack
	}
	// An emulator that does not start is a failure; nothing is skipped.
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		run, err := start(t.Context(), emulator.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := run.Stop(); err != nil {
				t.Error(fmt.Errorf("stopping %s: %w", name, err))
			}
		})
		vaulttest.Run(t, secretsmanager.NewFromConfig(emulator.Config(run.URL)))
	})
}
