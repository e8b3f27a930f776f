#!/usr/bin/env bash
# The name of old, for habits: a thin front of offline-deploy on a closed site.
#   offline_deploy_astrago.sh env              asks about the site and writes site.yaml
#   offline_deploy_astrago.sh sync [app]       the whole install, or one application
#   offline_deploy_astrago.sh destroy [app]    removes all applications, or one
# offline-deploy is taken from OFFLINE_DEPLOY, or from PATH; the bundle and the state folder are those of OFFLINE_DEPLOY_BUNDLE and
# OFFLINE_DEPLOY_SITE. Options after the command are passed on, --dry-run among them.
set -euo pipefail
usage() { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
program=${OFFLINE_DEPLOY:-offline-deploy}
if ! command -v "$program" >/dev/null; then
  printf 'error: %s is not here. Unpack it (tar xf bundle.tar offline-deploy) and name it in OFFLINE_DEPLOY.\n' "$program" >&2
  exit 7
fi
[ $# -ge 1 ] || usage
command=$1
shift
app=
case ${1:-} in '' | -*) ;; *) app=$1; shift ;; esac
case $command in
  env) exec "$program" init "$@" ;;
  sync)
    if [ -n "$app" ]; then exec "$program" apply --only "app-$app" "$@"; fi
    exec "$program" apply "$@" ;;
  destroy)
    if [ -n "$app" ]; then exec "$program" destroy "$app" "$@"; fi
    exec "$program" destroy "$@" ;;
  *) usage ;;
esac
