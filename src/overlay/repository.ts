import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppendedFile } from '../core/appended-file.ts'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, digestOf, isDigest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { readGuarded } from '../core/guarded-file.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import { isTag } from '../core/reference.ts'
import { makeRepositoryFolder, type OverlayFolder } from './overlay-folder.ts'
import type { ManifestRecord } from './owner.ts'
import { readPushedManifest } from './pushed-manifest.ts'

/** of a repository's index, and of the list of its blobs */
const maxText = 256 << 20 /* bytes */

/** A blob of a repository. */
export interface LinkedBlob {
  /** bytes */
  size: number
  /** when it was pushed or mounted last, ISO 8601: content that nothing refers to yet may belong to a push that is not finished */
  at: string
}

/** The tags and manifests of a repository; replaced as a whole by every change. */
export interface RepositoryContent {
  tags: ReadonlyMap<string, Digest>
  manifests: ReadonlyMap<Digest, ManifestRecord & { at: string }>
}

/** One repository of the overlay, in memory and on disk. Changes come one after another; each is on disk before it is visible. */
export class Repository {
  readonly name: string
  readonly #folder: string
  readonly #blobs: Map<Digest, LinkedBlob>
  #links: { handle: FileHandle; file: AppendedFile } | undefined
  #content: RepositoryContent
  #referred: ReadonlySet<Digest> | undefined
  /** entries of its index whose manifests could not be read at the start; later indexes list them, too, until they are pushed again */
  #leftOut: readonly Descriptor[]
  #last: Promise<unknown> = Promise.resolve()

  private constructor(
    name: string,
    read: {
      folder: string
      content: RepositoryContent
      blobs: Map<Digest, LinkedBlob>
      leftOut: readonly Descriptor[]
    },
  ) {
    this.name = name
    this.#leftOut = read.leftOut
    this.#folder = read.folder
    this.#content = read.content
    this.#blobs = read.blobs
  }

  /** Opens a repository, or creates it. `damaged` is called with each manifest that is left out because its bytes are not there. */
  static async open(
    name: string,
    { paths, damaged }: { paths: OverlayFolder; damaged: (digest: string) => void },
  ): Promise<Repository> {
    const folder = paths.repository(name)
    await makeRepositoryFolder(folder)
    const leftOut: Descriptor[] = []
    const content = await readContent(folder, {
      paths,
      damaged(entry) {
        leftOut.push(entry)
        damaged(entry.digest)
      },
    })
    return new Repository(name, { folder, content, blobs: await readLinks(folder), leftOut })
  }

  get content(): RepositoryContent {
    return this.#content
  }

  get blobs(): ReadonlyMap<Digest, LinkedBlob> {
    return this.#blobs
  }

  /** manifests that its index lists, and that were left out: what they refer to is not known */
  get damaged(): ReadonlySet<string> {
    return new Set(this.#leftOut.map(({ digest }) => digest))
  }

  /** its manifests, and what they refer to */
  get referred(): ReadonlySet<Digest> {
    this.#referred ??= referredBy(this.#content)
    return this.#referred
  }

  /** Runs `change` after all earlier changes. */
  async inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(change, change)
    this.#last = turn.catch(() => {})
    return await turn
  }

  /** Replaces tags and manifests; in turn only. */
  async replace(content: RepositoryContent): Promise<void> {
    // their bytes may only have been unreadable for a moment: without an entry, garbage collection would remove what they refer to
    const leftOut = this.#leftOut.filter(
      ({ digest, annotations }) =>
        !content.manifests.has(digest) && !content.tags.has(annotations?.[annotationKeys.refName] ?? ''),
    )
    const index = canonicalJson(indexOf(content, leftOut))
    await writeAtomically(join(this.#folder, 'index.json'), index, 0o600)
    this.#leftOut = leftOut
    this.#content = content
    this.#referred = undefined
  }

  async link(digest: Digest, blob: LinkedBlob): Promise<void> {
    await this.#append([{ digest, ...blob }])
    this.#blobs.set(digest, blob)
  }

  async unlink(digests: readonly Digest[]): Promise<void> {
    if (digests.length === 0) return
    await this.#append(digests.map(digest => ({ digest })))
    for (const digest of digests) this.#blobs.delete(digest)
  }

  /** Waits for changes that have begun. */
  async close(): Promise<void> {
    await this.inTurn(async () => {
      await this.#links?.handle.close()
      this.#links = undefined
    })
  }

  async #append(lines: readonly object[]): Promise<void> {
    if (this.#links === undefined) {
      const path = join(this.#folder, linksFile)
      // what is left of a record that was cut off goes, with all that is out of date
      await writeAtomically(
        path,
        [...this.#blobs].map(([digest, blob]) => lineOf({ digest, ...blob })).join(''),
        0o600,
      )
      const handle = await open(path, 'r+')
      this.#links = { handle, file: new AppendedFile(handle, (await handle.stat()).size) }
    }
    await this.#links.file.append(lines.map(lineOf).join(''), { sync: true })
  }
}

const linksFile = 'blobs.jsonl'
const pushedKey = 'io.astrago.airgap.pushed'

function lineOf(value: object): string {
  return `${JSON.stringify(value)}\n`
}

/** The index of an image layout: one entry for each tag, and one for each manifest without a tag; then what was left out. */
function indexOf({ tags, manifests }: RepositoryContent, leftOut: readonly Descriptor[]): object {
  const tagged = [...tags].map(([tag, digest]) => ({ tag, digest }))
  const named = new Set(tags.values())
  const untagged = [...manifests.keys()]
    .filter(digest => !named.has(digest))
    .map(digest => ({ tag: '', digest }))
  const entries = [...tagged, ...untagged].map(({ tag, digest }): Descriptor => {
    const { descriptor, at } = manifests.get(digest)!
    const annotations: Record<string, string> = { [pushedKey]: at }
    if (tag !== '') annotations[annotationKeys.refName] = tag
    return { ...descriptor, annotations }
  })
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...entries, ...leftOut] }
}

/** Returns the manifests of a repository, and what they refer to. */
export function referredBy({ manifests }: RepositoryContent): ReadonlySet<Digest> {
  const referred = new Set<Digest>(manifests.keys())
  for (const { blobs, optional, children } of manifests.values())
    for (const { digest } of [...blobs, ...optional, ...children]) referred.add(digest)
  return referred
}

/** Reads the tags and manifests of a repository. `damaged` is called with each entry of the index whose manifest is missing or has other bytes. Throws IO. */
export async function readContent(
  folder: string,
  { paths, damaged }: { paths: OverlayFolder; damaged: (entry: Descriptor) => void },
): Promise<RepositoryContent> {
  const tags = new Map<string, Digest>()
  const manifests = new Map<Digest, ManifestRecord & { at: string }>()
  for (const entry of await readIndex(folder)) {
    const { mediaType, digest, annotations = {} } = entry
    if (!manifests.has(digest)) {
      try {
        const bytes = await readFile(paths.blob(digest))
        if (digestOf(bytes) !== digest) throw new Error('other bytes')
        const record = readPushedManifest(bytes, { mediaType, isStored: true })
        manifests.set(digest, { ...record, at: annotations[pushedKey] ?? '' })
      } catch {
        damaged(entry)
        continue
      }
    }
    const tag = annotations[annotationKeys.refName]
    if (tag !== undefined && isTag(tag)) tags.set(tag, digest)
  }
  return { tags, manifests }
}

/** Returns the entries of a repository's index. Throws IO. */
export async function readIndex(folder: string): Promise<Descriptor[]> {
  try {
    const text = await textOf(join(folder, 'index.json'))
    // an empty file is a damaged one: a repository that nothing was pushed to has none
    if (text === undefined) return []
    const { manifests } = JSON.parse(text) as { manifests: Descriptor[] }
    return manifests.filter(({ digest }) => isDigest(digest))
  } catch (error) {
    throw new AirgapError('IO', 'a repository of the overlay cannot be read', {
      item: join(folder, 'index.json'),
      likely: 'the file was damaged or edited',
      next: 'restore it from a backup, or remove its folder and push the images again; then start the servers again',
      cause: error,
    })
  }
}

/** Returns the blobs of a repository. */
export async function readLinks(folder: string): Promise<Map<Digest, LinkedBlob>> {
  const links = new Map<Digest, LinkedBlob>()
  const text = (await textOf(join(folder, linksFile))) ?? ''
  for (const line of text.split('\n')) {
    const record = recordOf(line)
    if (record == null || !isDigest(record.digest)) continue
    if (record.size === undefined) links.delete(record.digest)
    else links.set(record.digest, { size: record.size, at: record.at ?? '' })
  }
  return links
}

/** undefined where the file is missing. No links are followed: commands read it as root, and it belongs to the servers' user. */
async function textOf(path: string): Promise<string | undefined> {
  return (await readGuarded(path, maxText))?.bytes.toString('utf8')
}

/** undefined for a line that was cut off: what it would have said was never acknowledged */
function recordOf(line: string): { digest: string; size?: number; at?: string } | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
