#!/usr/bin/env bash
# Installs the pinned tools of the local stack, the tests and the checks into .cache/ of this repository.
#
#   tools.sh NAME...   with NAME of: ministack sam dynamodb receivers localstack lint policy audit chromium axe vnu
#
# It skips a tool that is installed in the pinned version, installs several tools at the same time, and may run several
# times at once. Needs: Python 3.10 or later (ministack, sam, policy, receivers, axe), Python 3.13 (localstack), JDK 17 and Maven
# (dynamodb, vnu), Go (lint, audit). chromium is the browser of the machine: $CHROME, or chromium or google-chrome on the PATH;
# on Debian root gets it from apt, in the distribution's version.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(cd "$here/../../.." && pwd)/.cache
golangci_lint=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
gitleaks=github.com/zricethezav/gitleaks/v8@v8.30.1
govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.9.0

fail() {
  echo "tools: $*" >&2
  exit 1
}

# python MINIMUM [EXACT]: prints a Python of at least version 3.MINIMUM, or of exactly that version.
python() {
  local minimum=$1 exact=${2:-} candidate
  local test="import sys, venv, ensurepip; v = sys.version_info[1]; sys.exit(not (v == $minimum if '$exact' else v >= $minimum))"
  for candidate in python3 "python3.$minimum" python3.13 python3.12 python3.11 \
    "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minimum".*/bin/python3; do
    if "$candidate" -c "$test" >/dev/null 2>&1; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  if [ -n "$exact" ]; then
    fail "Python 3.$minimum is missing: install it so that python3.$minimum is on the PATH (localstack runs on no other version)"
  fi
  fail "Python 3.$minimum or later with venv is missing: install python3 and python3-venv"
}

# venv NAME PYTHON: makes a virtual environment with the packages of NAME.txt. The list is complete, so pip
# resolves nothing (with extras and hashes it cannot); it takes nothing whose hash is not listed, and builds nothing, because
# what a build downloads has no hash.
venv() {
  local name=$1 interpreter=$2
  rm -rf "${cache:?}/$name" &&
    "$interpreter" -m venv "$cache/$name" &&
    pip "$name" --requirement "$here/$name.txt"
}

pip() { "$cache/$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: "${@:2}"; }

install_ministack() { interpreter=$(python 10) && venv ministack "$interpreter"; }

install_sam() { interpreter=$(python 10) && venv sam "$interpreter"; }

install_policy() { interpreter=$(python 10) && venv policy "$interpreter"; }

install_receivers() { interpreter=$(python 10) && venv receivers "$interpreter"; }

# Three of its packages have no wheel. They are built with the setuptools of the list, which is installed first.
install_localstack() {
  local first
  first=$(mktemp) && sed -n '/^setuptools==/,/[^\\]$/p' "$here/localstack.txt" >"$first" &&
    interpreter=$(python 13 exact) &&
    rm -rf "${cache:?}/localstack" && "$interpreter" -m venv "$cache/localstack" &&
    pip localstack --requirement "$first" && rm "$first" &&
    pip localstack --no-binary airspeed-ext,crontab,jsonpath-rw --no-build-isolation --requirement "$here/localstack.txt"
}

# maven NAME: copies the jars that NAME.xml depends on, directly or not, into the folder of that name.
maven() {
  command -v java >/dev/null || fail "java is missing: install a JDK, version 17 or later"
  command -v mvn >/dev/null || fail "mvn is missing: install Maven"
  rm -rf "${cache:?}/$1" &&
    mvn --batch-mode --quiet --file "$here/$1.xml" \
      org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$cache/$1"
}

install_dynamodb() { maven dynamodb-local; }

install_vnu() { maven vnu; }

# The package is axe-core for tests in Python; the tests here need nothing of it but axe-core.
install_axe() {
  interpreter=$(python 10) && venv axe "$interpreter" &&
    cp "$cache"/axe/lib/python3.*/site-packages/axe_playwright_python/axe.min.js "$cache/axe/"
}

# chrome: prints the path of the browser, as infra/test/pages/browser finds it, or fails.
chrome() {
  if [ -n "${CHROME:-}" ]; then
    command -v "$CHROME"
  else
    command -v chromium || command -v google-chrome
  fi
}

install_chromium() {
  [ -z "${CHROME:-}" ] || fail "\$CHROME is $CHROME, which is no program"
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] ||
    fail "a browser is missing: install chromium or google-chrome so that it is on the PATH, or set CHROME to its path"
  export DEBIAN_FRONTEND=noninteractive
  apt_install() { apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 chromium fonts-dejavu-core; }
  apt_install || { apt-get update -o DPkg::Lock::Timeout=600 && apt_install; }
}

install_lint() { GOBIN="$cache/bin" GOFLAGS='' go install "$golangci_lint"; }

install_audit() {
  GOBIN="$cache/bin" GOFLAGS='' go install "$gitleaks" && GOBIN="$cache/bin" GOFLAGS='' go install "$govulncheck" &&
    mkdir -p "$cache/audit"
}

# folder NAME: prints the folder of a tool in the cache.
folder() {
  case $1 in
  dynamodb) echo dynamodb-local ;;
  lint) echo bin ;;
  *) echo "$1" ;;
  esac
}

# version NAME: prints a checksum of everything that determines the installed version.
version() {
  case $1 in
  dynamodb | vnu) cat "$here/$(folder "$1").xml" ;;
  lint) echo "$golangci_lint" && go version ;;
  audit) echo "$gitleaks $govulncheck" && go version ;;
  *) cat "$here/$1.txt" ;;
  esac | cksum
}

# installed NAME: whether the marker of a tool has the wanted version. The browser has none: it is there, or it is not.
installed() {
  if [ "$1" = chromium ]; then
    chrome >/dev/null
  else
    [ "$(cat "$cache/$(folder "$1")/.complete" 2>/dev/null)" = "$(version "$1")" ]
  fi
}

# ensure NAME: installs a tool unless it is installed.
ensure() {
  local name=$1 log started=$SECONDS
  log=$cache/$name.log
  exec 9>"$cache/$name.lock"
  # The lock belongs to the open file: it outlives this Python program, and ends with the shell.
  "$(python 10)" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
  if installed "$name"; then
    return
  fi
  echo "tools: installing $name"
  if ! ("install_$name") >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "installing $name failed; its output is in $log"
  fi
  [ "$name" = chromium ] || version "$name" >"$cache/$(folder "$name")/.complete"
  echo "tools: $name is installed ($((SECONDS - started)) s)"
}

# LocalStack uses DynamoDB Local's jars. Its Docker image needs no other tool.
wanted=()
for name in "$@"; do
  declare -F "install_$name" >/dev/null || fail "there is no tool named $name"
  if [ "$name" != localstack ]; then
    wanted+=("$name")
  elif ! docker image inspect localstack/localstack:4.14.0 >/dev/null 2>&1; then
    wanted+=(localstack dynamodb)
  fi
done

[ $# -gt 0 ] || fail "usage: tools.sh NAME...   with NAME of: ministack sam dynamodb receivers localstack lint policy audit chromium axe vnu"
mkdir -p "$cache"
status=0
children=()
for name in "${wanted[@]}"; do
  ensure "$name" &
  children+=($!)
done
for child in "${children[@]}"; do
  wait "$child" || status=1
done
exit $status
