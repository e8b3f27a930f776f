#!/usr/bin/env bash
# Legacy script name: a thin wrapper of helmfile for sites with internet access.
#   deploy_astrago.sh env                      create the environment's secrets and print what to edit
#   deploy_astrago.sh sync [app]               install all applications, or one
#   deploy_astrago.sh destroy [app]            remove all applications, or one
# ASTRAGO_TREE is the deployment tree (default: bundle/astrago beside this folder), ASTRAGO_ENV the environment (default: prod). The
# published charts belong in its charts/ (airgap extract). Options after the command go to helmfile.
set -euo pipefail
usage() { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 1 ] || usage
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tree=${ASTRAGO_TREE:-$home/bundle/astrago}
environment=${ASTRAGO_ENV:-prod}
command=$1
shift
app=
case ${1:-} in '' | -*) ;; *) app=$1; shift ;; esac
if [ ! -d "$tree/environments/$environment" ]; then
  printf 'error: %s is not an environment of %s. Set ASTRAGO_ENV.\n' "$environment" "$tree" >&2
  exit 2
fi
run_helmfile() {
  if ! command -v helmfile >/dev/null; then
    printf 'error: helmfile is missing. Build it with ./scripts/setup --with-stack, or install it from https://helmfile.readthedocs.io\n' >&2
    exit 7
  fi
  cd "$tree"
  local selector=()
  if [ -n "$app" ]; then selector=(--selector "app=$app"); fi
  exec helmfile --file helmfile.yaml.gotmpl --environment "$environment" "${selector[@]}" "$@"
}
case $command in
  env)
    "${OFFLINE_DEPLOY:-offline-deploy}" secrets "$tree" --env "$environment" "$@"
    printf 'now edit %s\n' "$tree/environments/$environment/values.yaml" ;;
  sync) run_helmfile sync "$@" ;;
  destroy) run_helmfile destroy "$@" ;;
  *) usage ;;
esac
