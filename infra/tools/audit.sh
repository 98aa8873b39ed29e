#!/usr/bin/env bash
# The audit of what this repository depends on and of what it must not contain.
#
#   audit.sh check    what works offline, in seconds; part of make check
#   audit.sh          the same, all of the history, and the vulnerabilities, if their database can be reached
#   audit.sh record   the same; then writes infra/tools/dependencies.txt, if govulncheck found nothing
#
# VULNDB is the address of the database, https://vuln.go.dev by default; a copy is file:///path. VULNDB_NAME is what the list calls it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mode=${1:-audit}
vulndb=${VULNDB:-https://vuln.go.dev}
recorded=infra/tools/dependencies.txt
max_age=90 # days
bin=.cache/bin
failed=0

fail() {
  echo "audit: $*"
  failed=1
}

# The modules that either go.mod file requires, and the version of Go, whose standard library counts too.
dependencies() {
  local folder
  for folder in . infra/tools; do
    (cd "$folder" && go mod edit -print) | awk '$1 == "require" && NF >= 3 { print $2, $3 } /^\t[^ ]+ v[0-9]/ { print $1, $2 } $1 == "go" { print "go", $2 }'
  done | sort -u
}

# age: prints how many days ago the list was compared with the database.
age() {
  local date
  date=$(sed -n 's/^# compared: //p' "$recorded")
  echo $((($(date -u +%s) - $(date -u -d "$date" +%s)) / 86400))
}

check_dependencies() {
  if ! diff <(grep -v '^#' "$recorded") <(dependencies) >&2; then
    fail "the dependencies are not those of $recorded, which were compared with the database of vulnerabilities: run make audit RECORD=1 where the database can be reached"
  fi
  if [ "$(age)" -gt $max_age ]; then
    echo "audit: the dependencies were compared with the database of vulnerabilities $(age) days ago: run make audit RECORD=1"
    [ "$mode" = check ] || [ -n "${compared:-}" ] || fail "that is more than $max_age days"
  fi
}

# Every Python package is pinned, and pip installs it only if its hash is listed: lines continue in their hashes.
check_hashes() {
  local list
  for list in infra/local/tools/*.txt; do
    awk -v list="$list" '
      /^#/ || /^$/ { next }
      /^[A-Za-z0-9]/ { if (name != "" && !hashed) { print list ": " name " has no hash"; bad = 1 } name = $1; hashed = 0
                       if ($0 !~ /^[^;]+==/) { print list ": " $0 " is not pinned"; bad = 1 } }
      /--hash=sha256:[0-9a-f]+/ { hashed = 1 }
      END { if (!hashed) { print list ": " name " has no hash"; bad = 1 } exit bad }' "$list" || fail "the packages of $list are not all pinned with hashes"
  done
}

gitleaks() { "$bin/gitleaks" "$@" --config infra/tools/gitleaks.toml --no-banner --log-level warn --verbose --redact; }

# The files that are tracked or could be committed; .cache and the like are neither.
scan_tree() {
  local tree status=0
  tree=$(mktemp -d)
  git ls-files -co --exclude-standard -z | tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C "$tree"
  gitleaks dir "$tree" || status=1
  rm -rf "$tree"
  [ $status = 0 ] || fail "the tree has what looks like a secret: if it opens nothing, add it to infra/tools/gitleaks.toml"
}

# The history. The check scans what came after the last clean scan with the same rules.
scan_history() {
  local marker=.cache/audited-history rules head since=()
  rules=$({ cat infra/tools/gitleaks.toml; "$bin/gitleaks" version; } | cksum)
  head=$(git rev-parse HEAD)
  if [ "$mode" = check ] && [ -s "$marker" ] && last=$(sed -n 1p "$marker") && [ "$(sed -n 2p "$marker")" = "$rules" ] &&
    git merge-base --is-ancestor "$last" HEAD 2>/dev/null; then
    [ "$last" != "$head" ] || return 0
    since=(--log-opts "$last..HEAD")
  fi
  if gitleaks git . "${since[@]}"; then
    printf '%s\n%s\n' "$head" "$rules" >"$marker"
  else
    fail "the history has what looks like a secret: revoke it; if it opens nothing, add it to infra/tools/gitleaks.toml"
  fi
}

# A finding in code that we call fails; one in a module that we only require is printed.
vulnerabilities() {
  if [[ $vulndb == http* ]] && ! curl --fail --silent --max-time 10 --output /dev/null "$vulndb/index/db.json"; then
    echo "audit: the database of vulnerabilities ($vulndb) cannot be reached; the dependencies are those that were compared on $(sed -n 's/^# compared: //p' "$recorded")"
    [ "$mode" != record ] || fail "nothing is recorded"
    return
  fi
  compared=yes
  local folder
  for folder in . infra/tools; do
    (cd "$folder" && "$OLDPWD/$bin/govulncheck" -db "$vulndb" ./...) || { compared='' && fail "govulncheck found something in $folder"; }
  done
  if [ "$mode" = record ] && [ -n "$compared" ]; then
    {
      echo "# The modules that go.mod and infra/tools/go.mod require, when govulncheck last found no vulnerability in what we call."
      echo "# make check compares this list with the go.mod files; make audit RECORD=1 writes it."
      echo "# compared: $(date -u +%F)"
      echo "# database: ${VULNDB_NAME:-$vulndb}"
      dependencies
    } >"$recorded"
  fi
}

[ "$mode" = check ] || vulnerabilities
check_dependencies
check_hashes
if ! git rev-parse --git-dir >/dev/null 2>&1; then
  echo "audit: this is no clone, so no secrets were searched for"
  exit $failed
fi
scan_tree
if git rev-parse --verify --quiet HEAD >/dev/null; then
  scan_history
else
  echo "audit: there is no commit, so there is no history to scan"
fi
[ $failed = 0 ] && echo "audit: clean"
exit $failed
