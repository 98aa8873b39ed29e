# Every workflow of this repository is a target here: `make help` lists them.
# What a target needs beyond Go is installed, pinned, into .cache/ by infra/local/tools/tools.sh.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Which emulator plays AWS in run, demo and test: ministack or localstack.
EMULATOR ?= ministack
# Which section of samconfig.toml `make deploy` uses.
STAGE ?= staging
# What `make build` builds for, and where it puts it. arm64 is the template's default.
ARCHITECTURE ?= arm64
BUILD_DIR ?= .aws-sam/build

TOOLS := infra/local/tools/tools.sh
SAM := .cache/sam/bin/sam
GOLANGCI_LINT := .cache/bin/golangci-lint
export SAM_CLI_TELEMETRY := 0

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: tools
tools: ## Install the tools of the tests and of the local stack into .cache/ (seconds when they are there)
	@$(TOOLS) ministack sam dynamodb

# sam passes these flags through to its go build, which adds none. The plain go build before it is there for its
# messages: sam reports a compile error as a missing file.
.PHONY: build
build: export CGO_ENABLED := 0
build: export GOFLAGS := -tags=lambda.norpc -trimpath -buildvcs=false '-ldflags=-s -w -buildid='
build: ## Build every function with sam, for ARCHITECTURE (arm64 or x86_64)
	@$(TOOLS) sam
	GOOS=linux GOARCH=$(ARCHITECTURE:x86_64=amd64) go build -o /dev/null ./functions/...
	$(SAM) build --config-env local --build-dir $(BUILD_DIR) --parameter-overrides Architecture=$(ARCHITECTURE)

.PHONY: run
run: ## Run the service on this machine at http://127.0.0.1:8080 until Ctrl-C (PORT=, EMULATOR=localstack)
	@EMULATOR=$(EMULATOR) go run ./infra/local/cmd/carrierlink-local run

.PHONY: demo
demo: ## Like run, but end after the main job: create-account, link-carrier, get-carrier-account
	@EMULATOR=$(EMULATOR) go run ./infra/local/cmd/carrierlink-local demo
