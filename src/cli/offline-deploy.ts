import { startProgram } from './shell/start.ts'

await startProgram({
  name: 'offline-deploy',
  description: 'Deploy a bundle inside a closed network: verify, serve, configure, install',
  commands: {
    init: async () => (await import('./offline-deploy/init.ts')).initCommand,
    keys: async () => (await import('./offline-deploy/keys.ts')).keysCommand,
    nodes: async () => (await import('./offline-deploy/nodes.ts')).nodesCommand,
    probe: async () => (await import('./offline-deploy/probe.ts')).probeCommand,
    verify: async () => (await import('./offline-deploy/verify.ts')).verifyCommand,
    inspect: async () => (await import('./offline-deploy/inspect.ts')).inspectCommand,
    scan: async () => (await import('./offline-deploy/scan.ts')).scanCommand,
    compat: async () => (await import('./offline-deploy/compat.ts')).compatCommand,
    serve: async () => (await import('./offline-deploy/serve.ts')).serveCommand,
    preflight: async () => (await import('./offline-deploy/preflight.ts')).preflightCommand,
    plan: async () => (await import('./offline-deploy/plan.ts')).planCommand,
    apply: async () => (await import('./offline-deploy/apply.ts')).applyCommand,
    upgrade: async () => (await import('./offline-deploy/upgrade.ts')).upgradeCommand,
    configure: async () => (await import('./offline-deploy/configure.ts')).configureCommand,
    secrets: async () => (await import('./offline-deploy/secrets.ts')).secretsCommand,
    status: async () => (await import('./offline-deploy/status.ts')).statusCommand,
    receipt: async () => (await import('./offline-deploy/receipt.ts')).receiptCommand,
    'support-bundle': async () => (await import('./offline-deploy/support-bundle.ts')).supportBundleCommand,
    stop: async () => (await import('./offline-deploy/stop.ts')).stopCommand,
    rollback: async () => (await import('./offline-deploy/rollback.ts')).rollbackCommand,
    'rollback-app': async () => (await import('./offline-deploy/rollback-app.ts')).rollBackApplicationCommand,
    destroy: async () => (await import('./offline-deploy/destroy.ts')).destroyCommand,
    reset: async () => (await import('./offline-deploy/reset.ts')).resetCommand,
  },
  internal: {
    'serving-process': async () => (await import('../deploy/serving-process.ts')).runServingProcess,
  },
})
