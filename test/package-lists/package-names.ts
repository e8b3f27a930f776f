import { readList } from '../../src/manifest/source-text.ts'

/** Names in one of package-lists/. */
export async function packageNames(path: string): Promise<string[]> {
  return (await readList(path, path)).map(line => line.text)
}
