import { lstat, mkdir, readdir, readFile, realpath, stat, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { textBefore } from '../core/trim.ts'

/**
 * helmfile ends at the first sub-helmfile that it cannot load. To record those after it, helmfile reads a view of the file system in
 * which that one is empty. A view consists of links, except for the folders above what differs: relative paths lead to the same
 * files, and the tree itself is not changed.
 */

/** A part of a deployment that helmfile cannot load. */
export interface BrokenHelmfile {
  /** its path from the deployment's helmfile, or its URL */
  shown: string
  /** the file that must differ: absolute path and text */
  replacement: readonly [path: string, text: string]
  /** the helmfiles that lead to it */
  through: string[]
}

export interface ViewOptions {
  /** absolute path → text, of the files that differ */
  replaced: ReadonlyMap<string, string>
  /** helmfiles whose relative paths must lead to what differs */
  through: ReadonlySet<string>
  /** for the view; its own and empty */
  folder: string
}

const emptyHelmfile = 'releases: []\n'
const emptyName = 'empty-helmfile.yaml'

/**
 * Returns the sub-helmfile, or the file of a folder of helmfiles, that the output of helmfile blames; undefined if that is the
 * deployment's helmfile itself.
 */
export async function brokenHelmfile(
  output: string,
  { helmfile, replaced, folder }: Omit<ViewOptions, 'through'> & { helmfile: string },
): Promise<BrokenHelmfile | undefined> {
  const top = await realpath(dirname(helmfile))
  const start = join(top, basename(helmfile))
  const isFolder = (await stat(start).catch(() => undefined))?.isDirectory() ?? false
  const edit = { replaced, empty: join(folder, emptyName) }
  for (const line of output.split('\n').filter(one => one.startsWith('in '))) {
    const { files, depth, message } = await chainOf(line, top)
    const last = files.at(-1)
    if (last === undefined) continue
    const url = depth === files.length ? unreachable.exec(message) : null
    if (url !== null) return await withoutUrl(files, { part: (url[1] ?? url[2])!, ...edit })
    const isPart = depth > 0 ? files.length > depth : isFolder && last !== start
    if (isPart && replaced.get(last) !== emptyHelmfile)
      return { shown: relative(top, last), replacement: [last, emptyHelmfile], through: files }
  }
  // without a connection, helmfile ends with a panic that names no URL
  if (!/pkg\/remote\.HttpFileExists/.test(output)) return undefined
  const url = /\bhttps?:\/\/([^\s'"?]+\.ya?ml(?:\.gotmpl)?)\b/.exec(await textOf(start, replaced))
  return url === null ? undefined : await withoutUrl([start], { part: url[1]!, ...edit })
}

/** How helmfile names what it cannot download: host and path. */
const unreachable = /downloading '[^']*?:\/\/(?:[^/@']*@)?([^?']+)|https?:\/\/(\S+) is not exists/

/** Reads `in ./helmfile.yaml: in .helmfiles[3]: in sub/helmfile.yaml: …`; each path is relative to the folder of the one before. */
async function chainOf(
  line: string,
  top: string,
): Promise<{ files: string[] /** number of `.helmfiles[…]` */; depth: number; message: string }> {
  const files: string[] = []
  const parts = line.split(': ')
  let folder = top
  let depth = 0
  while (parts[0]?.startsWith('in ')) {
    const name = parts[0].slice('in '.length)
    if (/^\.helmfiles\[\d+\]$/.test(name)) depth++
    else {
      const place = resolve(folder, name)
      const file = join(await realpath(dirname(place)).catch(() => dirname(place)), basename(place))
      if ((await lstat(file).catch(() => undefined)) === undefined) break
      files.push(file)
      folder = dirname(file)
    }
    parts.shift()
  }
  return { files, depth, message: parts.join(': ') }
}

/** Replaces the URL of a sub-helmfile in the helmfile that names it, the last of `through`. `part`: host and path of the URL. */
async function withoutUrl(
  through: string[],
  { part, replaced, empty }: { part: string; replaced: ViewOptions['replaced']; empty: string },
): Promise<BrokenHelmfile | undefined> {
  const file = through.at(-1)!
  const text = await textOf(file, replaced)
  const words = text.match(/(?<![\w+.-])[\w+.-]+:[^\s'"]*[^\s'",\]}]/g) ?? []
  const found = words.find(word => {
    const at = word.indexOf(part)
    return at > 0 && !/^[\w.-]/.test(word.slice(at + part.length))
  })
  if (found === undefined) return undefined
  return { shown: withoutLogin(found), replacement: [file, text.replaceAll(found, empty)], through }
}

/** `git::https://host/repository.git@path`: the @ behind the host is go-getter's. A query may contain a token. */
function withoutLogin(url: string): string {
  return textBefore(url.replace(/(:\/\/)[^/@]*@/, '$1'), '?')
}

async function textOf(file: string, replaced: ViewOptions['replaced']): Promise<string> {
  return replaced.get(file) ?? (await readFile(file, 'utf8').catch(() => ''))
}

/** Makes the view in a new folder and returns the path of the helmfile in it. */
export async function viewOf(helmfile: string, { replaced, through, folder }: ViewOptions): Promise<string> {
  const start = join(await realpath(dirname(helmfile)), basename(helmfile))
  const folders = new Set([start, ...replaced.keys(), ...through].flatMap(foldersAbove))
  for (const path of [...folders].sort((a, b) => a.length - b.length)) {
    await mkdir(join(folder, path), { recursive: true })
    for (const name of await readdir(path).catch(() => [])) {
      const file = join(path, name)
      const text = replaced.get(file)
      if (text !== undefined) await writeFile(join(folder, file), text)
      else if (!folders.has(file)) await symlink(file, join(folder, file))
    }
  }
  await writeFile(join(folder, emptyName), emptyHelmfile)
  return join(folder, start)
}

function foldersAbove(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [] : [...foldersAbove(parent), parent]
}
