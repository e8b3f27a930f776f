import { mkdir, readdir, readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { defined } from '../core/defined.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { convertInventory } from '../inventory/convert.ts'
import { parseSiteFile } from '../inventory/site-file.ts'
import { type SiteAnswers, starterSite } from '../inventory/starter.ts'
import { pathsOf } from '../site/state.ts'
import { findSite } from './set-up.ts'
import { siteDraft } from './site-draft.ts'
import { type Draft, withNfsServer } from './site-interview.ts'
import type { SiteOptions } from './site-options.ts'

export interface InitOptions extends SiteOptions {
  /** set by options; takes precedence over the inventory */
  answers: SiteAnswers
  /** kubespray's inventory: a file, or its folder */
  from?: string | undefined
  /** values file to convert with the inventory */
  values?: string | undefined
  /** replace an existing site.yaml, which is kept under another name */
  force: boolean
  dryRun: boolean
}

/** Asks for what is not known. */
export type Interview = (known: SiteAnswers, draft: Draft) => Promise<SiteAnswers>

export interface InitializedSite {
  /** of site.yaml */
  path: string
  text: string
  nodes: SiteAnswers['nodes']
  /** what was not converted */
  notes: string[]
}

/**
 * Writes site.yaml. `interview` asks for what the options do not set; undefined without a terminal. Throws USAGE if site.yaml
 * exists or no machine was named, SITE_INVALID for invalid answers.
 */
export async function initSite(
  options: InitOptions,
  { interview }: { interview: Interview | undefined },
): Promise<InitializedSite> {
  const { from, values, force, dryRun } = options
  const { siteFolder } = await findSite(options)
  const { siteFile } = pathsOf(siteFolder)
  const before = await readIfThere(siteFile)
  // before anybody has answered questions
  if (before !== undefined && !force && !dryRun) throw alreadyThere(siteFile)
  if (values !== undefined && from === undefined)
    throw new AirgapError('USAGE', '--values requires --from', {
      item: values,
      next: 'name the inventory of kubespray as well, with --from',
    })
  const converted =
    from === undefined ? undefined : await convertInventory({ inventory: from, ...defined({ values }) })
  const known = withNfsServer(mergedAnswers(converted?.answers ?? { nodes: [] }, options.answers))
  const draft = siteDraft(siteFolder)
  const answers =
    known.nodes.length === 0 && interview !== undefined && !dryRun
      ? await interview(mergedAnswers((await draft.read()) ?? { nodes: [] }, known), draft)
      : known
  const text = starterSite(answers)
  parseSiteFile(text, `${siteFile} (not written)`)
  if (!dryRun && answers.nodes.length === 0)
    throw new AirgapError('USAGE', 'no machine was named, and there is no terminal for questions', {
      item: '--node',
      next: 'name each: --node master-1=10.0.0.11:control-plane,worker; `offline-deploy init --dry-run` shows the file',
    })
  if (!dryRun) {
    await writeSiteFile(siteFile, { text, before })
    await draft.remove()
  }
  return { path: siteFile, text, nodes: answers.nodes, notes: converted?.notes ?? [] }
}

function mergedAnswers(known: SiteAnswers, given: SiteAnswers): SiteAnswers {
  const ssh = { ...known.ssh, ...given.ssh }
  return {
    ...known,
    ...given,
    ...(Object.keys(ssh).length === 0 ? {} : { ssh }),
    nodes: [...known.nodes, ...given.nodes],
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(error => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  })
}

function alreadyThere(path: string): AirgapError {
  return new AirgapError('USAGE', 'this site already has a site.yaml', {
    item: path,
    likely: 'init was run before',
    next: 'edit it, or use `offline-deploy nodes`; --force writes a new one and keeps this one as site.yaml.before',
  })
}

/** Keeps what was there, and what was kept before. */
async function writeSiteFile(
  path: string,
  { text, before }: { text: string; before: string | undefined },
): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    if (before !== undefined) {
      const names = await readdir(dirname(path))
      const kept = names.includes(`${basename(path)}.before`)
        ? `.before-${new Date().toISOString().replace(/[:.]/g, '-')}`
        : '.before'
      await writeAtomically(`${path}${kept}`, before, 0o600)
    }
    await writeAtomically(path, text, 0o600)
  } catch (error) {
    throw fromSystemError(error, path)
  }
}
