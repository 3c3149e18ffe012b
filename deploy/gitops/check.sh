#!/bin/sh
# What a change of a registry's manifests would write, for a pipeline that runs before it is merged.
#
#   check.sh FOLDER [--prove [FLAGS]] < SECRETS
#
# FOLDER is built by kustomize. SECRETS are the Secrets that its QuayStorages name, decrypted; they are not written to disk.
# Without --prove no network is needed. With it every role is proven too, as Quay would use it, which needs the network to
# AWS; FLAGS are those of `registry-sts check`, for example --read-only.
#
# Exit codes: 0 fine, 1 refused, 2 something could not be read or asked, 64 usage.
#
# REGISTRY_STS and KUSTOMIZE may name the programs; KUSTOMIZE='kubectl kustomize' does, too.
set -u

usage() {
  echo 'usage: check.sh FOLDER [--prove [FLAGS]] < SECRETS' >&2
  exit 64
}

[ $# -ge 1 ] || usage
folder=$1
shift
prove=false
if [ $# -ge 1 ]; then
  [ "$1" = --prove ] || usage
  prove=true
  shift
fi

program=${REGISTRY_STS:-registry-sts}
# Unquoted below: it may have arguments.
builder=${KUSTOMIZE:-kustomize build}

built=$($builder "$folder") || exit 2
secrets=$(cat) || exit 2

manifests() {
  printf '%s\n---\n%s\n' "$built" "$secrets"
}

manifests | "$program" render -f - -o diff || exit
if $prove; then
  manifests | "$program" check -f - "$@" || exit
fi
