import { resolve } from 'node:path'
import { z } from 'zod'
import { distinctRequests } from '../../document/distinct.ts'
import { nameField, textField } from '../../document/fields.ts'
import { manifestEntry } from '../entry.ts'

export interface TreeRequest {
  at: string
  name: string
  /** as written, relative to the folder of the manifest */
  from: string
  /** absolute */
  folder: string
  exclude: string[]
}

export const treeEntry = manifestEntry({
  key: 'trees',
  schema: z.strictObject({
    name: nameField,
    /** the folder to lay down */
    from: textField,
    /** paths or `*` patterns to leave out */
    exclude: z.array(textField).default([]),
  }),
  starter: `\
# trees:                                      # folders laid down on the site as they are
#   - name: deploy
#     from: deploy
#     exclude: ["*.bak"]
`,
  load: (entries, { at, folder, mistakes }) =>
    distinctRequests(
      entries.map((tree, i): TreeRequest => ({ at: at(i), folder: resolve(folder, tree.from), ...tree })),
      { nameOf: tree => tree.name, mistakes },
    ),
})
