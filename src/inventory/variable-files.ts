import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fromSystemError } from '../core/errors.ts'
import { namesIn } from '../core/read-folder.ts'
import { invalid, mapOf, textOf, yamlOf } from './read-source.ts'

const maxFiles = 1_000

interface VariableFile {
  path: string
  /** of the group or host */
  name: string
  variables: Map<string, unknown>
}

/** Reads `group_vars` or `host_vars`: NAME, NAME.yml, or a folder NAME with files. Throws SITE_INVALID, PERMISSION. */
export async function variableFiles(folder: string, notes: string[]): Promise<VariableFile[]> {
  const found: VariableFile[] = []
  const read = async (path: string, name: string): Promise<void> => {
    if (found.length >= maxFiles) throw invalid(folder, `more than ${maxFiles} files`)
    const text = await textOf(path)
    if (text.startsWith('$ANSIBLE_VAULT')) {
      notes.push(`not converted: ${path}: encrypted with ansible-vault`)
      return
    }
    const { value } = yamlOf(text, { file: path, code: 'SITE_INVALID' })
    found.push({ path, name, variables: new Map(Object.entries(mapOf(value))) })
  }
  const walk = async (at: string, name: string | undefined, depth: number): Promise<void> => {
    for (const entry of await namesIn(at)) {
      const path = join(at, entry)
      if (entry.startsWith('.') || entry.endsWith('~') || !/^[^.]+$|\.(?:ya?ml|json)$/.test(entry)) continue
      const kind = await stat(path).catch(error => {
        throw fromSystemError(error, path)
      })
      const own = name ?? entry.replace(/\.(?:ya?ml|json)$/, '')
      if (!kind.isDirectory()) await read(path, own)
      else if (depth < 8) await walk(path, own, depth + 1)
    }
  }
  await walk(folder, undefined, 0)
  return found
}
