import { type DefineCommand, runCli } from './shell/run.ts'

/** Each command is loaded when it is the one asked for: most need neither a network nor OpenPGP. */
const commands: Record<string, () => Promise<DefineCommand>> = {
  init: async () => (await import('./airgap/init.ts')).initCommand,
  lock: async () => (await import('./airgap/lock.ts')).lockCommand,
  plan: async () => (await import('./airgap/build.ts')).planCommand,
  build: async () => (await import('./airgap/build.ts')).buildCommand,
  compat: async () => (await import('./airgap/compat.ts')).compatCommand,
  images: async () => (await import('./airgap/images.ts')).imagesCommand,
  verify: async () => (await import('./airgap/verify.ts')).verifyCommand,
  inspect: async () => (await import('./airgap/inspect.ts')).inspectCommand,
  diff: async () => (await import('./airgap/diff.ts')).diffCommand,
  extract: async () => (await import('./airgap/extract.ts')).extractCommand,
  push: async () => (await import('./airgap/push.ts')).pushCommand,
  serve: async () => (await import('./offline-deploy/serve.ts')).serveCommand,
  doctor: async () => (await import('./airgap/doctor.ts')).doctorCommand,
  completion: async () => (await import('./airgap/completion.ts')).completionCommand,
}

/** Help, completion and a mistyped command want all of them. */
function wanted(argv: readonly string[]): (() => Promise<DefineCommand>)[] {
  const [first = ''] = argv.slice(2)
  const one = first !== 'completion' && Object.hasOwn(commands, first) ? commands[first] : undefined
  if (one) return [one]
  return first === 'version' ? [] : Object.values(commands)
}

await runCli({
  name: 'airgap',
  description: 'Builds one verified bundle of a stack manifest, to be carried into a closed network.',
  commands: await Promise.all(wanted(process.argv).map(load => load())),
})
