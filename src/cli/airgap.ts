import { buildCommand, planCommand } from './airgap/build.ts'
import { completionCommand } from './airgap/completion.ts'
import { diffCommand } from './airgap/diff.ts'
import { doctorCommand } from './airgap/doctor.ts'
import { extractCommand } from './airgap/extract.ts'
import { initCommand } from './airgap/init.ts'
import { inspectCommand } from './airgap/inspect.ts'
import { lockCommand } from './airgap/lock.ts'
import { pushCommand } from './airgap/push.ts'
import { verifyCommand } from './airgap/verify.ts'
import { serveCommand } from './offline-deploy/serve.ts'
import { runCli } from './shell/run.ts'

await runCli({
  name: 'airgap',
  description: 'Builds one verified bundle of a stack manifest, to be carried into a closed network.',
  commands: [
    initCommand,
    lockCommand,
    planCommand,
    buildCommand,
    verifyCommand,
    inspectCommand,
    diffCommand,
    extractCommand,
    pushCommand,
    serveCommand,
    doctorCommand,
    completionCommand,
  ],
})
