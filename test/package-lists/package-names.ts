import { readList } from '../../src/document/read-text.ts'

/** Package names in a file of package-lists/. */
export async function packageNames(path: string): Promise<string[]> {
  return (await readList(path, path)).map(line => line.text)
}
