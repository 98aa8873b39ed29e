#!/usr/bin/env bash
# Makes the image in which `sam local` runs the functions: the runtime emulator that comes with sam and the host's
# certificates, which is enough for a static binary. It needs no registry.
#
#   sam-image.sh x86_64|arm64 AWS_ENDPOINT_URL
#
# The address is part of the image, because sam passes to a function only variables that the template declares.
set -euo pipefail
architecture=$1
endpoint=$2
cache=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)/.cache

runtime=$("$cache/sam/bin/python" -c 'import samcli.local, pathlib; print(pathlib.Path(samcli.local.__path__[0], "rapid"))')
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
mkdir -p "$root"/{opt,tmp,var/rapid,var/task,var/runtime,etc/ssl/certs}
chmod 1777 "$root/tmp"
install -m 755 "$runtime/aws-lambda-rie-$architecture" "$root/var/rapid/aws-lambda-rie"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
tar -C "$root" --owner=0 --group=0 -c . | docker import \
  --change 'WORKDIR /var/task' \
  --change 'ENV PATH=/usr/bin:/bin' \
  --change 'ENV LAMBDA_TASK_ROOT=/var/task' \
  --change 'ENV LAMBDA_RUNTIME_DIR=/var/runtime' \
  --change "ENV AWS_ENDPOINT_URL=$endpoint" \
  - "public.ecr.aws/lambda/provided:al2023-rapid-$architecture"
