import { startProgram } from './shell/start.ts'

await startProgram({
  name: 'airgap',
  description: 'Build one verified bundle from a stack manifest, to carry into a closed network',
  commands: {
    init: async () => (await import('./airgap/init.ts')).initCommand,
    lock: async () => (await import('./airgap/lock.ts')).lockCommand,
    plan: async () => (await import('./airgap/build.ts')).planCommand,
    build: async () => (await import('./airgap/build.ts')).buildCommand,
    compat: async () => (await import('./airgap/compat.ts')).compatCommand,
    images: async () => (await import('./airgap/images.ts')).imagesCommand,
    keygen: async () => (await import('./airgap/keygen.ts')).keygenCommand,
    sign: async () => (await import('./airgap/sign.ts')).signCommand,
    rotate: async () => (await import('./airgap/rotate.ts')).rotateCommand,
    verify: async () => (await import('./airgap/verify.ts')).verifyCommand,
    inspect: async () => (await import('./airgap/inspect.ts')).inspectCommand,
    scan: async () => (await import('./airgap/scan.ts')).scanCommand,
    diff: async () => (await import('./airgap/diff.ts')).diffCommand,
    extract: async () => (await import('./airgap/extract.ts')).extractCommand,
    push: async () => (await import('./airgap/push.ts')).pushCommand,
    pull: async () => (await import('./airgap/pull.ts')).pullCommand,
    serve: async () => (await import('./offline-deploy/serve.ts')).serveCommand,
    doctor: async () => (await import('./airgap/doctor.ts')).doctorCommand,
    completion: async () => (await import('./airgap/completion.ts')).completionCommand,
  },
  internal: {
    'serving-process': async () => (await import('../deploy/serving-process.ts')).runServingProcess,
    'password-thread': async () => (await import('../access/password-thread.ts')).runPasswordThread,
  },
})
