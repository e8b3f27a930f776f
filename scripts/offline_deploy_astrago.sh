#!/usr/bin/env bash
# Legacy script name: a thin wrapper of offline-deploy for closed sites.
#   offline_deploy_astrago.sh env              ask about the site and write site.yaml
#   offline_deploy_astrago.sh sync [app]       install everything, or one application
#   offline_deploy_astrago.sh destroy [app]    remove all applications, or one
# Runs the offline-deploy of OFFLINE_DEPLOY, or of PATH, with the bundle and the state folder of OFFLINE_DEPLOY_BUNDLE and
# OFFLINE_DEPLOY_SITE. Options after the command go to it, for example --dry-run.
set -euo pipefail
usage() { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
program=${OFFLINE_DEPLOY:-offline-deploy}
if ! command -v "$program" >/dev/null; then
  printf 'error: %s is missing. Unpack it (tar xf bundle.tar offline-deploy) and set OFFLINE_DEPLOY to its path.\n' "$program" >&2
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
