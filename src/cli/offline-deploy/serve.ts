import type { Command } from 'commander'
import { acquireProcessLock } from '../../core/process-lock.ts'
import type { AccessEntry } from '../../serve/served.ts'
import { httpServerOf, registryOf } from '../../site/address.ts'
import { openState } from '../../site/state.ts'
import { printableJson } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { closeBundles, openBundles, setUp } from './context.ts'
import { bundleOptions, type SiteOptions, serverOptions } from './options.ts'
import { startServing } from './serving.ts'

/** `serve [bundle…]`: for `airgap` too, where bundles are named as arguments. */
export function serveCommand(program: Command, shell: Shell): void {
  serverOptions(bundleOptions(program.command('serve')))
    .description('serve the registry and the HTTP server out of the bundle, until stopped')
    .argument('[bundle...]', 'bundles (default: --bundle, or the .tar beside the program)')
    .option('--access-log', 'a line for every request, not only for those that failed')
    .action(async (named: string[], options: SiteOptions & { accessLog?: boolean }) => {
      await serve({ ...options, bundle: [...named, ...(options.bundle ?? [])] }, shell)
    })
}

async function serve(options: SiteOptions & { accessLog?: boolean }, shell: Shell): Promise<void> {
  const { config, siteFolder, address } = await setUp(options)
  const bundles = await openBundles(config.bundles)
  try {
    const state = await openState(siteFolder)
    const lock = await acquireProcessLock(state.paths.serveLock, `${siteFolder}: the servers of this site`)
    try {
      const serving = await startServing({
        contents: bundles.map(bundle => bundle.store),
        address,
        listen: config.listen,
        state,
        now: () => new Date(),
        log: entry => logAccess(entry, { shell, all: options.accessLog ?? false }),
      })
      const found = {
        registry: registryOf(serving.address),
        httpServer: httpServerOf(serving.address),
        listen: config.listen,
        bundles: bundles.map(({ path, store }) => ({ path, digest: store.indexDigest })),
        process: process.pid,
      }
      shell.print(found, () =>
        [
          `registry     ${found.registry}`,
          `HTTP server  ${found.httpServer}  (/files /debs /charts /clients)`,
          `serving      ${config.bundles.join(', ')} on ${config.listen}; stop with Ctrl-C or SIGTERM`,
        ].join('\n'),
      )
      await aborted(shell.signal)
      await serving.close()
    } finally {
      await lock.release()
    }
  } finally {
    await closeBundles(bundles)
  }
}

/** In the background, stderr is a file that nobody empties: only what went wrong on this side is worth a line. */
function logAccess(entry: AccessEntry, { shell, all }: { shell: Shell; all: boolean }): void {
  if (!all && entry.error === undefined && entry.status < 500) return
  shell.log(printableJson(JSON.stringify({ at: new Date().toISOString(), ...entry })))
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  // a signal listener keeps no process alive; the servers do
  await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
