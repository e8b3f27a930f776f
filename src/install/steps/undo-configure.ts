import { isErrorCode } from '../../core/errors.ts'
import { undoFiles } from '../../site/managed-files.ts'
import { rollbackValues } from '../../values/file.ts'
import type { Settings } from '../../values/set.ts'
import { configuredFiles } from '../lay-down-record.ts'
import type { UndoStep } from '../step.ts'
import { isInTrustStore, updateTrustStore } from '../trust-store.ts'

export interface UndoConfigureOptions {
  /** where the trees are laid down */
  folder: string
  /** path of the record of written files */
  record: string
  /** the site's addresses, for values files that an older version of this program changed without a record */
  settings: Settings
}

/** Restores the values files and the client files that the step configure changed, from its records alone. */
export function undoConfigure({ folder, record, settings }: UndoConfigureOptions): UndoStep {
  return {
    id: 'configure',
    async undo({ progress, signal }) {
      for (const file of await configuredFiles(folder)) {
        try {
          const result = await rollbackValues(file.path, { settings, record: file.record })
          progress.note(`configure: ${file.path}: ${result}`)
        } catch (error) {
          if (!isErrorCode(error, 'FILE_NOT_FOUND')) throw error
        }
      }
      const undone = await undoFiles(record)
      for (const { path, result } of undone) progress.note(`configure: ${path}: ${result}`)
      const root = '/'
      if (!undone.some(({ path, result }) => result === 'removed' && isInTrustStore(path, { root }))) return
      const leftToDo = await updateTrustStore({ root, signal })
      if (leftToDo !== undefined) progress.note(`configure: ${leftToDo}`)
    },
  }
}
