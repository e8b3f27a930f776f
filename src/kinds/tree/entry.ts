import { resolve } from 'node:path'
import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import { distinctRequests } from '../../document/distinct.ts'
import { nameField, textField } from '../../document/fields.ts'
import { type DeclaredSecret, declaredSecretsField } from '../declared-secrets.ts'
import { manifestEntry } from '../entry.ts'

export interface TreeRequest {
  at: string
  name: string
  /** as written, relative to the folder of the manifest */
  from: string
  /** absolute */
  folder: string
  exclude: string[]
  /** files that look like secrets and are carried nevertheless; absent: none */
  secrets?: DeclaredSecret[]
}

export const treeEntry = manifestEntry({
  key: 'trees',
  schema: z.strictObject({
    name: nameField,
    /** the folder to lay down */
    from: textField,
    /** paths or `*` patterns to leave out */
    exclude: z.array(textField).default([]),
    /** files that look like secrets and are to be carried: `lock` refuses all others */
    secrets: declaredSecretsField,
  }),
  starter: `\
# trees:                                      # folders laid down on the site as they are
#   - name: deploy
#     from: deploy
#     exclude: ["*.bak"]
#     secrets: [{path: tests/*.key, reason: a test key}]   # files that look like secrets and may travel; all others are refused
`,
  load: (entries, { at, folder, mistakes }) =>
    distinctRequests(
      entries.map(
        ({ secrets, ...tree }, i): TreeRequest => ({
          at: at(i),
          folder: resolve(folder, tree.from),
          ...tree,
          ...defined({ secrets: secrets.length > 0 ? secrets : undefined }),
        }),
      ),
      { nameOf: tree => tree.name, mistakes },
    ),
})
