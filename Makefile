# Every workflow of this repository is a target here; `make help` lists them.
# What they need beyond Go is installed, pinned, into .cache/ by infra/local/tools/tools.sh.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Which emulator plays AWS: ministack or localstack.
EMULATOR ?= ministack
# Which section of samconfig.toml build and deploy use: local, staging or production.
STAGE ?= staging
# What build builds for, and where it puts it. arm64 is the template's default.
ARCHITECTURE ?= arm64
BUILD_DIR ?= .aws-sam/build

TOOLS := infra/local/tools/tools.sh
SAM := .cache/sam/bin/sam
LINT := .cache/bin/golangci-lint
GO_TEST := go test -race -shuffle=on -timeout=25m
export EMULATOR
export SAM_CLI_TELEMETRY := 0

.PHONY: help
help: ## List the targets
	@sed -nE 's/^([a-z -]+):.* ## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: tools
tools: ## Install the tools of tests and local stack into .cache/ (a second when they are there)
	@$(TOOLS) ministack sam dynamodb

# sam hands these flags on to its go build and adds none. Our own code is not inlined: it waits for the network, and would
# only be larger (infra/docs/decisions/0037). The plain go build before it is there for its messages: sam
# reports a compile error as a missing file.
.PHONY: build
build: export CGO_ENABLED := 0
build: export GOFLAGS := -tags=lambda.norpc -trimpath -buildvcs=false -gcflags=carrierlink/...=-l '-ldflags=-s -w -buildid='
build: ## Build the functions with sam for ARCHITECTURE (arm64, x86_64) into BUILD_DIR
	@$(TOOLS) sam
	GOOS=linux GOARCH=$(ARCHITECTURE:x86_64=amd64) go build -o /dev/null ./functions/...
	$(SAM) build --config-env $(STAGE) --build-dir $(BUILD_DIR) --parameter-overrides Architecture=$(ARCHITECTURE)

# The tools are installed while the program compiles. exec: a signal to make reaches the program itself.
.PHONY: run demo sam-local
run demo sam-local:
	@$(TOOLS) sam $(EMULATOR) & tools=$$!; \
	go build -o .cache/bin/ ./infra/local/cmd/carrierlink-local; \
	wait $$tools
	@exec .cache/bin/carrierlink-local $@
run: ## Serve on this machine at http://127.0.0.1:8080 until Ctrl-C (PORT=, EMULATOR=localstack)
demo: ## Like run, but show three lives of a connection under the schedule, and end
sam-local: ## Like run, but the functions run under `sam local start-api`, in Docker

.PHONY: test
test: tools ## Run all tests with the race detector, the end-to-end suite on MiniStack included
	$(GO_TEST) ./...

.PHONY: test-localstack
test-localstack: EMULATOR := localstack
test-localstack: ## Run the store, vault and end-to-end suites on LocalStack
	@$(TOOLS) ministack sam dynamodb localstack
	$(GO_TEST) -count=1 ./shared/store/... ./shared/vault/... ./infra/test/e2e/...

.PHONY: check
check: ## Format, lint, module files, template, OpenAPI, generated files, links of the functions
	@$(TOOLS) sam lint
	@infra/tools/check.sh

.PHONY: fmt
fmt: ## Format all Go code
	@$(TOOLS) lint
	$(LINT) fmt

.PHONY: generate
generate: ## Make the generated files anew
	go generate ./...

.PHONY: bench
bench: tools ## Print sizes, starts, memory, latencies, the worker's throughput and the price of walks, as ratios
	go run ./infra/bench
	go test -run='^$$' -bench=. -benchtime=500x -timeout=30m ./functions/...
	go test -run='^$$' -bench='Walk|Due' -benchtime=1x -timeout=10m ./shared/store
	go test -run='^$$' -bench=Worker -benchtime=104x -timeout=10m ./shared/schedule

.PHONY: deploy
deploy: build ## Deploy to AWS as STAGE (staging, production) of samconfig.toml, with your AWS credentials
	$(SAM) deploy --config-env $(STAGE)

.PHONY: clean
clean: ## Remove what was built; the tools in .cache/ stay
	rm -rf .aws-sam infra/local/.run
