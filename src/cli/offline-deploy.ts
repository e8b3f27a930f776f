import { applyCommand, configureCommand, planCommand, upgradeCommand } from './offline-deploy/apply.ts'
import { destroyCommand, resetCommand, rollBackApplicationCommand } from './offline-deploy/change.ts'
import { compatCommand } from './offline-deploy/compat.ts'
import { initCommand } from './offline-deploy/init.ts'
import { nodesCommand } from './offline-deploy/nodes.ts'
import { preflightCommand } from './offline-deploy/preflight.ts'
import { probeCommand } from './offline-deploy/probe.ts'
import { receiptCommand } from './offline-deploy/receipt.ts'
import { secretsCommand } from './offline-deploy/secrets.ts'
import { serveCommand } from './offline-deploy/serve.ts'
import { rollbackCommand, statusCommand, stopCommand } from './offline-deploy/status.ts'
import { supportBundleCommand } from './offline-deploy/support-bundle.ts'
import { verifyCommand } from './offline-deploy/verify.ts'
import { runCli } from './shell/run.ts'

await runCli({
  name: 'offline-deploy',
  description: 'Deploys a bundle inside a closed network: verify, serve, configure, install.',
  commands: [
    initCommand,
    nodesCommand,
    probeCommand,
    verifyCommand,
    compatCommand,
    serveCommand,
    preflightCommand,
    planCommand,
    applyCommand,
    upgradeCommand,
    configureCommand,
    secretsCommand,
    statusCommand,
    receiptCommand,
    supportBundleCommand,
    stopCommand,
    rollbackCommand,
    rollBackApplicationCommand,
    destroyCommand,
    resetCommand,
  ],
})
