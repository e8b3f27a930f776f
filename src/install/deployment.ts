import { z } from 'zod'
import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import type { TreeEntries } from '../content/tree.ts'
import { AirgapError } from '../core/errors.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import { parsePositioned } from '../document/positioned.ts'

/** What a deployment tree is installed with: `install.yaml` at its top. A tree without one is only laid down. */

const path = z.string().refine(text => {
  try {
    return safeRelativePath(text) === text
  } catch {
    return false
  }
}, 'must be a path below, with / and without ..')
const name = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,60}[a-z0-9])?$/, 'must be a name: a-z, 0-9 and -')

export const deploymentSchema = z.strictObject({
  apiVersion: z.literal('airgap-install/v1'),
  /** programs for the operator's host, from the files of the bundle */
  tools: z
    .record(
      name,
      z.strictObject({
        /** below /files */
        file: path,
        /** in the archive (.tar.gz); without it the file is the program */
        member: path.optional(),
      }),
    )
    .default({}),
  /** a virtual environment from the bundle's wheels */
  python: z
    .strictObject({
      /** those that the wheels are for, best first */
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
      /** saves etcd; is given `backup_folder` on this host */
      backup: path.optional(),
    })
    .default({}),
  kubespray: z
    .strictObject({
      /** below /files: the .tar.gz of a release */
      archive: path,
      /** folder in the tree with group_vars */
      inventory: path,
      /** in the inventory: what is set there when the site is known */
      offlineVariables: path,
    })
    .optional(),
  applications: z
    .strictObject({
      /** in the tree */
      helmfile: path,
      /** in the order of installation; a release has the label app=NAME */
      order: z.array(name).min(1),
    })
    .optional(),
  /** databases that are saved before an upgrade: what the command prints, run in the workload's first container */
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
        /** of the application that brings it: where that is left out, nothing is saved */
        application: name,
        command: z.array(z.string().min(1)).min(1),
      }),
    )
    .default([]),
  /** key of environments/ENV/values.yaml → fact of the site */
  values: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)*$/), z.string())
    .default({}),
})
export type Deployment = z.infer<typeof deploymentSchema>

export const deploymentFile = 'install.yaml'

/** Undefined where the tree has none. Throws BUNDLE_CORRUPT where it cannot be read. */
export async function readDeployment(
  store: ReadableStore,
  entries: TreeEntries,
): Promise<Deployment | undefined> {
  const entry = entries.get(deploymentFile)
  if (entry === undefined) return undefined
  if (entry.mode === '120000' || entry.descriptor.size > 1 << 20)
    throw new AirgapError('BUNDLE_CORRUPT', 'install.yaml is no plain file', { item: deploymentFile })
  const text = (await readAll(store, entry.descriptor)).toString('utf8')
  return parseDeployment(text, deploymentFile)
}

export function parseDeployment(text: string, file: string): Deployment {
  return parsePositioned(text, {
    file,
    schema: deploymentSchema,
    words: {
      code: 'UNSUPPORTED',
      what: 'the description of the install cannot be read',
      next: 'use the offline-deploy that the bundle itself carries',
    },
  }).value
}
