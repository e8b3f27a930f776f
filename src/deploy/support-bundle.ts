import { resolve } from 'node:path'
import { isSecretVariable } from '../core/environment.ts'
import { AirgapError } from '../core/errors.ts'
import { type SupportFile, writeSupportBundle } from '../install/support-bundle.ts'
import { readSiteFile } from '../inventory/site-file.ts'
import { readSiteConfig } from '../site/config.ts'
import { knownCluster } from './cluster.ts'
import type { DeployContext } from './context.ts'
import { existingSite } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'
import { siteStatus } from './status.ts'

export interface SupportBundle {
  site: string
  /** path of the archive */
  out: string
  files: SupportFile[]
}

/** Writes what a supporter needs to see of a site, without its secrets. What cannot be found out is recorded as an error. */
export async function collectSupportBundle(
  options: SiteOptions & { out: string },
  context: DeployContext,
  { programVersion }: { programVersion: string },
): Promise<SupportBundle> {
  const { siteFolder, state } = await existingSite(options)
  const status = await siteStatus(options, context).catch(error => failure(error, context.signal))
  const site = await readSiteFile(state.paths.siteFile).catch(() => undefined)
  const config = await readSiteConfig(state.paths.config).catch(() => undefined)
  const versions = {
    offlineDeploy: programVersion,
    node: process.versions.node,
    site: state.id,
    bundles: 'bundles' in status ? status.bundles : (config?.bundles ?? []),
  }
  const out = resolve(options.out)
  // that a kubeconfig is refused is in status.json
  await using cluster = await knownCluster(site, state.paths).catch(() => undefined)
  const files = await writeSupportBundle(out, {
    state,
    cluster,
    facts: new Map<string, unknown>([
      ['versions.json', versions],
      ['status.json', status],
    ]),
    secrets: secretsIn(context.environment),
    signal: context.signal,
  })
  return { site: siteFolder, out, files }
}

/** A site whose status cannot be determined is what support is needed for. */
function failure(error: unknown, signal: AbortSignal): { error: unknown } {
  signal.throwIfAborted()
  return { error: error instanceof AirgapError ? error.toJSON() : String(error) }
}

function secretsIn(environment: DeployContext['environment']): string[] {
  return Object.entries(environment).flatMap(([name, value]) =>
    value !== undefined && isSecretVariable(name) ? [value] : [],
  )
}
