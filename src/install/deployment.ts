import { z } from 'zod'
import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import type { TreeEntries } from '../content/tree.ts'
import { AirgapError } from '../core/errors.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import { parsePositioned } from '../document/positioned.ts'

/** `install.yaml` at the top of a deployment tree says how the tree is installed. A tree without one is only laid down. */

const path = z.string().refine(text => {
  try {
    return safeRelativePath(text) === text
  } catch {
    return false
  }
}, 'must be a relative path without ..')
const name = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,60}[a-z0-9])?$/, 'must be a name of a-z, 0-9 and -')

export const deploymentSchema = z.strictObject({
  apiVersion: z.literal('airgap-install/v1'),
  /** programs for this host, from the files of the bundle */
  tools: z
    .record(
      name,
      z.strictObject({
        /** below /files */
        file: path,
        /** path in the archive (.tar.gz); default: the file is the program */
        member: path.optional(),
      }),
    )
    .default({}),
  /** a virtual environment from the bundle's wheels */
  python: z
    .strictObject({
      /** that the wheels are for, best first */
      versions: z.array(z.string().regex(/^3\.\d{1,2}$/, 'must be a version such as 3.11')).min(1),
      /** in the tree, as pip reads it */
      requirements: path,
    })
    .optional(),
  /** in the tree */
  playbooks: z
    .strictObject({
      nodes: path.optional(),
      gpuDriver: path.optional(),
      nfs: path.optional(),
      /** saves etcd into `backup_folder` on this host */
      backup: path.optional(),
    })
    .default({}),
  kubespray: z
    .strictObject({
      /** below /files: the .tar.gz of a release */
      archive: path,
      /** folder in the tree with group_vars */
      inventory: path,
      /** file in the inventory in which the site's servers are set */
      offlineVariables: path,
    })
    .optional(),
  applications: z
    .strictObject({
      /** in the tree */
      helmfile: path,
      /** names in the order of installation; the releases of each have the label app=NAME */
      order: z.array(name).min(1),
    })
    .optional(),
  /** databases that are saved before an upgrade: the output of a command in the workload's first container */
  backups: z
    .array(
      z.strictObject({
        name,
        namespace: name,
        workload: z
          .string()
          .regex(
            /^(?:statefulset|deployment|pod)\/[a-z0-9-]{1,250}$/,
            'must be statefulset/NAME, deployment/NAME or pod/NAME',
          ),
        /** the application of the database: if that is switched off, nothing is saved */
        application: name,
        command: z.array(z.string().min(1)).min(1),
      }),
    )
    .default([]),
  /** key in environments/ENV/values.yaml → fact of the site (inventory/hosts.ts) */
  values: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)*$/), z.string())
    .default({}),
})
export type Deployment = z.infer<typeof deploymentSchema>

export const deploymentFile = 'install.yaml'

/** Reads install.yaml of a tree; undefined if there is none. Throws BUNDLE_CORRUPT, UNSUPPORTED. */
export async function readDeployment(
  store: ReadableStore,
  entries: TreeEntries,
): Promise<Deployment | undefined> {
  const entry = entries.get(deploymentFile)
  if (entry === undefined) return undefined
  if (entry.mode === '120000' || entry.descriptor.size > 1 << 20)
    throw new AirgapError('BUNDLE_CORRUPT', 'install.yaml is not a regular file of at most 1 MiB', {
      item: deploymentFile,
      next: 'correct the deployment tree and rebuild the bundle',
    })
  const text = (await readAll(store, entry.descriptor)).toString('utf8')
  return parseDeployment(text, deploymentFile)
}

export function parseDeployment(text: string, file: string): Deployment {
  return parsePositioned(text, {
    file,
    schema: deploymentSchema,
    words: {
      code: 'UNSUPPORTED',
      what: 'install.yaml is invalid for this version of offline-deploy',
      next: 'use the offline-deploy that is in the bundle',
    },
  }).value
}
