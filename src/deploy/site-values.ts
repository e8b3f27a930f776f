import { AirgapError } from '../core/errors.ts'
import { siteFacts } from '../inventory/hosts.ts'
import { kubesprayMirrors, type RegistryMirrors } from '../site/registry-mirrors.ts'
import { mergedTree, nested, type Settings, settingsOf, type ValueTree } from '../values/set.ts'
import type { SiteInstall } from './site-install.ts'

/** The addresses of the site's servers, as values files have them. */
export interface ServerAddresses {
  /** `host:port` */
  registry: string
  /** URL */
  httpServer: string
}

/**
 * What site.yaml sets in environments/NAME/values.yaml: facts of the site under the keys that install.yaml names, and its own
 * `values`. Throws UNSUPPORTED for a fact that no site has, SITE_INVALID for an application that the tree does not have.
 */
export function siteValues({ site, deployment }: SiteInstall): ValueTree {
  const facts = siteFacts(site)
  const mapped = Object.entries(deployment.values).flatMap(([path, fact]) => {
    if (!Object.hasOwn(facts, fact)) throw unknownFact(`values.${path}: ${fact}`, Object.keys(facts))
    return facts[fact] === undefined ? [] : [[path, facts[fact]] as const]
  })
  const known = deployment.applications?.order ?? []
  const unknown = Object.keys(site.switches.applications).find(name => !known.includes(name))
  if (unknown !== undefined) throw unknownApplication(unknown, known)
  return mergedTree(nested(Object.fromEntries(mapped)), site.values)
}

/** What is set in other files of the tree: kubespray's variables of a closed site. Path in the tree → settings. */
export function siteVariables(
  { deployment }: SiteInstall,
  options: ServerAddresses & { mirrors: readonly RegistryMirrors[]; caFile: string | undefined },
): Map<string, Settings> {
  const { registry, httpServer, mirrors, caFile } = options
  const { kubespray } = deployment
  if (kubespray === undefined) return new Map()
  const path = `${kubespray.inventory}/${kubespray.offlineVariables}`
  const settings = {
    registry_host: registry,
    http_server: httpServer,
    ...kubesprayMirrors(mirrors, { caFile }),
  }
  return new Map([[path, settingsOf(settings)]])
}

function unknownFact(item: string, known: readonly string[]): AirgapError {
  return new AirgapError('UNSUPPORTED', 'install.yaml uses a fact that sites do not have', {
    item,
    likely: `the facts are ${known.join(', ')}`,
    next: 'correct install.yaml of the deployment tree and rebuild the bundle',
  })
}

function unknownApplication(name: string, known: readonly string[]): AirgapError {
  return new AirgapError(
    'SITE_INVALID',
    'site.yaml switches an application that the deployment tree does not have',
    {
      item: `switches.applications.${name}`,
      likely: `the applications are ${known.join(', ')}`,
      next: 'correct site.yaml',
    },
  )
}
