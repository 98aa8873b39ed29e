#!/usr/bin/env bash
# The checks of `make check`. Each one runs even if an earlier one failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
failed=()

check() {
  echo "== $1"
  "${@:2}" || failed+=("$1")
}

lint() {
  local lint=$PWD/.cache/bin/golangci-lint
  "$lint" run && (cd infra/tools && "$lint" run --config ../../.golangci.yml)
}

# templ's own format, which a file that has another one gets.
templates() {
  (cd infra/tools && go tool templ fmt -fail -log-level error ../../shared/pages)
}

# go.mod and go.sum match the imports.
modules() {
  go mod tidy -diff && (cd infra/tools && go mod tidy -diff)
}

vet() {
  go vet ./... && (cd infra/tools && go vet ./...)
}

# The generators change nothing, and make no file that is not there. openapijson also validates the contract.
generated() {
  local before
  before=$({ git diff && git status --porcelain; } | cksum)
  go generate ./... || return 1
  [ "$before" = "$({ git diff && git status --porcelain; } | cksum)" ] && return
  echo "generated files did not match their sources; they do now, see git diff"
  return 1
}

# These packages make the linker keep every exported method, and so a function half as large again.
links() {
  local found
  # templ imports html/template for a conversion that the portal does not use, so the linker drops it: its size (make bench) tells.
  found=$(go list ./functions/... | grep -vx carrierlink/functions/portal | xargs go list -deps -tags=lambda.norpc | grep -xE 'text/template|html/template|net/rpc' || true)
  [ -z "$found" ] && return
  echo "the functions link $found"
  return 1
}

# The template as AWS would deploy it, for every stage, option and architecture: within AWS's limits, and to the liking of
# cfn-lint. The policies of its roles, to the liking of parliament, which knows the actions and resources of every service.
transformed() {
  local directory
  directory=$(mktemp -d) || return 1
  .cache/sam/bin/python infra/tools/transform_test.py -q &&
    .cache/sam/bin/python infra/tools/transform.py "$directory" &&
    .cache/sam/bin/cfn-lint "$directory"/templates/*.json &&
    policies "$directory/policies"
  local status=$?
  rm -rf "$directory"
  return $status
}

policies() {
  local found
  found=$(.cache/policy/bin/parliament --json --directory "$1" --include_policy_extension json) && [ -z "$found" ] && return
  echo "$found"
  return 1
}

check "golangci-lint" lint
check "format of the templates" templates
check "modules" modules
check "vet" vet
check "cfn-lint" .cache/sam/bin/cfn-lint template.yaml
check "transformed template and policies" transformed
check "sam validate" .cache/sam/bin/sam validate --lint --region ap-southeast-2
check "OpenAPI and generated files" generated
check "links of the functions" links
check "dependencies, hashes, secrets" infra/tools/audit.sh check

if [ ${#failed[@]} -gt 0 ]; then
  printf 'check: %s found something\n' "${failed[@]}"
  exit 1
fi
echo "check: clean"
