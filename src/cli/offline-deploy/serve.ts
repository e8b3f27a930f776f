import type { Command } from 'commander'
import { printableJson } from '../../core/printable.ts'
import { serveSite } from '../../deploy/serve.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import type { AccessEntry } from '../../serve/served.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { bundleOptions, serverOptions } from './options.ts'

interface ServeCommandOptions extends SiteOptions {
  accessLog?: boolean
}

/** `serve [bundle…]`: of `airgap` too, where bundles are named as arguments. */
export function serveCommand(program: Command, shell: Shell): void {
  addExamples(serverOptions(bundleOptions(program.command('serve'))), [
    [`${program.name()} serve bundle.tar --address 10.0.0.10`],
    [
      `${program.name()} serve bundle.tar --registry-port 0 --http-port 0 --listen 127.0.0.1`,
      'on any free ports, for this machine only',
    ],
  ])
    .description('Serve the registry and the HTTP server from the bundle until stopped')
    .argument('[bundle...]', 'bundles (default: --bundle, or the .tar next to the program)')
    .option('--access-log', 'log every request, not only those that failed')
    .action(async (named: string[], { accessLog = false, ...options }: ServeCommandOptions) => {
      const bundle = [...named, ...(options.bundle ?? [])]
      await serveSite(
        { ...options, bundle },
        {
          signal: shell.signal,
          now: () => new Date(),
          log: entry => logAccess(entry, { shell, all: accessLog }),
          serving(site) {
            shell.print(site, () =>
              [
                `registry     ${site.registry}`,
                `HTTP server  ${site.httpServer}  (${site.folders.join(' ')})`,
                `serving      ${site.bundles.map(({ path }) => path).join(', ')} on ${site.listen}; stop with Ctrl-C or SIGTERM`,
              ].join('\n'),
            )
          },
        },
      )
    })
}

/** In the background, stderr is a file that nobody empties: only what went wrong on this side is worth a line. */
function logAccess(entry: AccessEntry, { shell, all }: { shell: Shell; all: boolean }): void {
  if (!all && entry.error === undefined && entry.status < 500) return
  shell.log(printableJson(JSON.stringify({ at: new Date().toISOString(), ...entry })))
}
