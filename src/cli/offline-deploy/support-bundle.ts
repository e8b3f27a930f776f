import { resolve } from 'node:path'
import type { Command } from 'commander'
import { isSecretVariable } from '../../core/environment.ts'
import { AirgapError } from '../../core/errors.ts'
import { existingSite } from '../../deploy/set-up.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { writeSupportBundle } from '../../install/support-bundle.ts'
import { readSiteFile } from '../../inventory/site-file.ts'
import { readSiteConfig } from '../../site/config.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { toolVersion } from '../shell/version.ts'
import { knownCluster } from './cluster.ts'
import { bundleOptions, configureOptions, serverOptions } from './options.ts'
import { siteStatus } from './status.ts'

export function supportBundleCommand(program: Command, shell: Shell): void {
  configureOptions(serverOptions(bundleOptions(program.command('support-bundle'))))
    .description(
      'what a supporter needs to see of this site: versions, journal, plan, configuration, logs, pods; secrets are taken out',
    )
    .requiredOption('--out <file>', 'the archive, FILE.tar.gz; mode 0600')
    .action(async (options: SiteOptions & { out: string }) => {
      const { siteFolder, state } = await existingSite(options)
      const status = await siteStatus(options, shell).catch(error => failure(error, shell))
      const site = await readSiteFile(state.paths.siteFile).catch(() => undefined)
      const config = await readSiteConfig(state.paths.config).catch(() => undefined)
      const files = await writeSupportBundle(resolve(options.out), {
        state,
        cluster: await knownCluster(site, state.paths),
        facts: new Map<string, unknown>([
          [
            'versions.json',
            {
              offlineDeploy: toolVersion,
              node: process.versions.node,
              site: state.id,
              bundles: 'bundles' in status ? status.bundles : (config?.bundles ?? []),
            },
          ],
          ['status.json', status],
        ]),
        secrets: given(),
        signal: shell.signal,
      })
      const size = files.reduce((sum, file) => sum + file.size, 0)
      shell.print({ site: siteFolder, out: resolve(options.out), files }, () =>
        [
          ...files.map(file => `${humanBytes(file.size).padStart(10)}  ${file.path}`),
          `written ${resolve(options.out)}: ${files.length} files, ${humanBytes(size)}, mode 0600`,
          'secrets of this site, private keys and passwords in URLs are taken out; names and addresses of machines are in it',
        ].join('\n'),
      )
    })
}

/** A site that cannot be planned is what support is asked for. */
function failure(error: unknown, shell: Shell): { error: unknown } {
  shell.signal.throwIfAborted()
  return { error: error instanceof AirgapError ? error.toJSON() : String(error) }
}

/** Secrets in the environment of this run. */
function given(): string[] {
  return Object.entries(process.env).flatMap(([name, value]) =>
    value !== undefined && isSecretVariable(name) ? [value] : [],
  )
}
