import { lstat, mkdir, readlink, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AirgapError, errnoOf, fromSystemError } from '../../core/errors.ts'
import type { ClientFile } from '../../site/client-files.ts'
import { type ManagedFile, planFiles, undoFiles, writeFiles } from '../../site/managed-files.ts'
import type { Step, UndoStep } from '../step.ts'

export interface InventoryOptions {
  /** the files of the folder: hosts.yaml, and the keys and mirrors that roles copy to the machines */
  files: (purpose: 'plan' | 'write') => Promise<readonly ManagedFile[]>
  folder: string
  /** the group_vars of the deployment tree; undefined: it has none */
  groupVars: string | undefined
  record: string
  inputs: () => Promise<object>
}

/** Writes the inventory of all playbooks. */
export function inventoryStep({ files, folder, groupVars, record, inputs }: InventoryOptions): Step {
  const link = groupVarsIn(folder)
  return {
    id: 'inventory',
    title: 'Write the ansible inventory',
    needs: ['lay-down', 'configure'],
    inputs,
    async describe() {
      const plan = await planFiles(await files('plan'), { root: folder })
      const hosts = plan.find(({ path }) => path.endsWith('/hosts.yaml'))
      return [
        `${hosts?.change === 'replace' ? 'replace' : 'write'} ${join(folder, 'hosts.yaml')}, and ${plan.length - 1} files for the machines beside it`,
        ...(groupVars === undefined ? [] : [`link ${link} to ${groupVars}`]),
      ]
    },
    async check() {
      const plan = await planFiles(await files('write'), { root: folder })
      if (plan.some(({ change }) => change !== 'none')) return 'pending'
      return groupVars === undefined || (await readlink(link).catch(() => '')) === groupVars
        ? 'done'
        : 'pending'
    },
    async apply() {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      // the step `nodes` writes repositories.json, with the same record
      const obsolete = (path: string) => path !== 'repositories.json'
      await writeFiles(await files('write'), { root: folder, record, obsolete })
      if (groupVars !== undefined) await replaceLink(link, groupVars)
    },
  }
}

/** Removes the files of the folder that are as they were written. */
export function undoInventory({ folder, record }: Pick<InventoryOptions, 'folder' | 'record'>): UndoStep {
  const link = groupVarsIn(folder)
  return {
    id: 'inventory',
    async undo({ progress }) {
      for (const { path, result } of await undoFiles(record)) progress.note(`inventory: ${path}: ${result}`)
      const found = await lstat(link).catch(() => undefined)
      if (found?.isSymbolicLink()) await rm(link)
    },
  }
}

function groupVarsIn(folder: string): string {
  return join(folder, 'group_vars')
}

/** The files of the inventory's folder. Roles copy keys and mirrors from there, and never fetch them over the network. */
export function inventoryFiles(clients: readonly ClientFile[], hosts: string): ManagedFile[] {
  // the site's key is one of apt and one of dnf
  const files = new Map(
    [{ path: 'hosts.yaml', text: hosts }, ...clients.flatMap(besideInventory)].map(file => [file.path, file]),
  )
  return [...files.values()]
}

function besideInventory(file: ClientFile): ManagedFile[] {
  const { text } = file
  switch (file.kind) {
    case 'containerd-host':
      return [{ path: `certs.d/${file.registry}/hosts.toml`, text }]
    case 'site-ca':
      return file.place === 'machine' ? [{ path: 'site-ca.crt', text }] : []
    case 'site-key':
      return [{ path: 'site-key.asc', text }]
    case 'publisher-key':
      return [{ path: `rpm-gpg/${basename(file.path)}`, text }]
    // the servers hand these out, and the role offline_repositories checks what it gets
    case 'apt-sources':
    case 'apt-conf':
    case 'yum-repo':
    case 'pip-conf':
      return []
  }
}

async function replaceLink(link: string, target: string): Promise<void> {
  try {
    await mkdir(dirname(link), { recursive: true })
    const found = await lstat(link).catch(() => undefined)
    if (found !== undefined && !found.isSymbolicLink()) {
      throw new AirgapError('SITE_INVALID', 'a file or folder is in place of the link to group_vars', {
        item: link,
        likely: 'it was created by hand',
        next: 'move its variables to `kubespray:` in site.yaml, and delete it',
      })
    }
    await rm(link, { force: true })
    await symlink(target, link)
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    throw fromSystemError(error, link)
  }
}
