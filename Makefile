# Every workflow of this repository is a target here; `make help` lists them.
# infra/local/tools/tools.sh installs the tools that they need beyond Go, pinned, into .cache/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The emulator of AWS: ministack or localstack.
EMULATOR ?= ministack
# The section of samconfig.toml that build and deploy use: local (build only), staging, production or one of your own.
STAGE ?= staging
# The Region of rotate-service-secret; deploy has it from samconfig.toml.
REGION ?= ap-southeast-2
# The architecture that build builds for (arm64 is the template's default), and its output directory.
ARCHITECTURE ?= arm64
BUILD_DIR ?= .aws-sam/build
# Parameters of deploy and diff beyond those in samconfig.toml: PARAMETERS="AlarmEmail=ops@example.com DomainName=…".
PARAMETERS ?=

TOOLS := infra/local/tools/tools.sh
SAM := .cache/sam/bin/sam
LINT := .cache/bin/golangci-lint
GO_TEST := go test -race -shuffle=on -timeout=40m
export EMULATOR
export SAM_CLI_TELEMETRY := 0

.PHONY: help
help: ## List the targets
	@sed -nE 's/^([a-z -]+):.* ## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: tools
tools: ## Install the tools of tests and local stack into .cache/ (takes a second if they are installed)
	@$(TOOLS) ministack sam dynamodb receivers chromium axe vnu

# sam passes these flags to its go build and adds none. Neither our own code nor the SDK's is inlined: that would make the binaries larger
# and not noticeably faster (infra/docs/decisions/0037). The plain go build comes first for its messages: sam
# reports a compile error as a missing file.
.PHONY: build
build: export CGO_ENABLED := 0
build: export GOFLAGS := -tags=lambda.norpc -trimpath -buildvcs=false -gcflags=carrierlink/...=-l -gcflags=github.com/aws/aws-sdk-go-v2/...=-l -gcflags=github.com/aws/smithy-go/...=-l '-ldflags=-s -w -buildid='
build: ## Build the functions with sam for ARCHITECTURE (arm64, x86_64) into BUILD_DIR
	@$(TOOLS) sam
	GOOS=linux GOARCH=$(ARCHITECTURE:x86_64=amd64) go build -o /dev/null ./functions/...
	$(SAM) build --config-env $(STAGE) --build-dir $(BUILD_DIR) --parameter-overrides Architecture=$(ARCHITECTURE)

# The tools are installed while the program compiles. With exec a signal to make reaches the program itself.
.PHONY: run demo sam-local
run demo sam-local:
	@$(TOOLS) sam $(EMULATOR) $(if $(filter demo,$@),receivers) & tools=$$!; \
	go build -o .cache/bin/ ./infra/local/cmd/carrierlink-local; \
	wait $$tools
	@exec .cache/bin/carrierlink-local $@
run: ## Serve on this machine at http://127.0.0.1:8080 until Ctrl-C (PORT=, EMULATOR=localstack)
demo: ## Like run, but show three connections under the schedule and the webhook that hears of them, and end
sam-local: ## Like run, but with the functions under `sam local start-api`, in Docker

.PHONY: test
test: tools ## Run all tests with the race detector, the end-to-end suite on MiniStack included
	$(GO_TEST) ./...
	cd infra/tools && $(GO_TEST) ./...

.PHONY: test-localstack
test-localstack: EMULATOR := localstack
test-localstack: ## Run the store, vault and end-to-end suites on LocalStack
	@$(TOOLS) ministack sam dynamodb receivers chromium axe vnu localstack
	$(GO_TEST) -count=1 ./shared/store/... ./shared/vault/... ./infra/test/e2e/...

# A fixture is in infra/local/.run/screens/<fixture>-<theme>-<width>.png. The tests fail if something is wrong with a page, and have
# written its picture all the same.
.PHONY: screens
screens: ## Write a picture of every page × light, dark × 320, 1100 px into infra/local/.run/screens (README=1: those of README.md, too)
	@$(TOOLS) chromium axe vnu
	go test -count=1 -timeout=20m ./infra/test/pages -screens $(CURDIR)/infra/local/.run/screens $(if $(README),-readme $(CURDIR)/infra/docs/screens)

.PHONY: check
check: ## Check format, lint, module files, template, OpenAPI, generated files, links of the functions, dependencies, secrets
	@$(TOOLS) sam lint policy audit
	@infra/tools/check.sh

.PHONY: audit
audit: ## Check dependencies against known vulnerabilities (RECORD=1 dates the list), hashes, and tree and history for secrets
	@$(TOOLS) audit
	@infra/tools/audit.sh $(if $(RECORD),record)

.PHONY: cost
cost: ## Print a month's bill by line: CONNECTIONS=, POLICY= (hourly, daily, off), CALLS= of the month
	@go run ./infra/cost/bill -connections "$(or $(CONNECTIONS),0)" -policy "$(or $(POLICY),daily)" -calls "$(or $(CALLS),0)"

.PHONY: fmt
fmt: ## Format all Go code and templates
	@$(TOOLS) lint
	$(LINT) fmt
	go -C infra/tools tool templ fmt -log-level error ../../shared/pages

.PHONY: generate
generate: ## Regenerate the generated files
	go generate ./...

.PHONY: bench
bench: tools ## Print sizes, starts, memory, latencies, the worker's throughput and the price of walks, against their budgets
	go run ./infra/bench
	go test -run='^$$' -bench=. -benchtime=500x -timeout=30m ./functions/...
	go test -run='^$$' -bench='Walk|Due' -benchtime=1x -timeout=10m ./shared/store
	go test -run='^$$' -bench=Worker -benchtime=104x -timeout=10m ./shared/schedule
	go test -run='^$$' -bench=Schedule -benchtime=1x -timeout=20m -v ./shared/parcel

.PHONY: deploy
deploy: deployable ## Check, build and deploy to AWS as STAGE (staging, production), with your AWS credentials (PARAMETERS=)
	$(DEPLOY)

.PHONY: diff
diff: deployable ## Like deploy, but only show what would change
	$(DEPLOY) --no-execute-changeset

# sam gets the parameters as a file: parameters on its command line would replace those of samconfig.toml. --config-file, because
# sam would look for samconfig.toml beside the template.
DEPLOY = $(SAM) deploy --config-file $(CURDIR)/samconfig.toml --config-env $(STAGE) --template-file $(BUILD_DIR)/template.yaml --parameter-overrides file://$(BUILD_DIR).parameters.yaml
# deployable: the checklist, then the build; neither changes anything in AWS.
.PHONY: deployable
deployable:
	@$(TOOLS) sam
	@cd infra/tools && go run ./checklist -stage=$(STAGE) -parameters $(abspath $(BUILD_DIR)).parameters.yaml Architecture=$(ARCHITECTURE) $(PARAMETERS)
	@$(MAKE) --no-print-directory build

# aws succeeds although a function has failed: then the answer has the field FunctionError.
.PHONY: rotate-service-secret
rotate-service-secret: ## Add a key to the service secret of STAGE in REGION, with your AWS credentials
	@command -v aws >/dev/null || { echo 'rotate-service-secret needs the AWS command line, version 2 (README.md, "Deploy", 1)'; exit 1; }
	@answer=$$(mktemp); trap 'rm -f "$$answer"' EXIT; \
	failure=$$(aws lambda invoke --region $(REGION) --function-name carrierlink-$(STAGE)-rotate-service-secret --query FunctionError --output text "$$answer"); \
	cat "$$answer"; echo; test "$$failure" = None

.PHONY: clean
clean: ## Remove the build output; the tools in .cache/ stay
	rm -rf .aws-sam infra/local/.run
