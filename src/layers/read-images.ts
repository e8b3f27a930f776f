import type { ReadableStore } from '../content/store.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import type { Progress } from '../core/progress.ts'
import { FileSystem } from './file-system.ts'
import type { ImageLayers } from './image-layers.ts'
import { type ImageContent, installedIn, type NotRead } from './installed.ts'
import { layerTar } from './layer-stream.ts'
import type { Kept } from './readers.ts'
import { isRead, readFile } from './readers.ts'
import { type TarEntry, type TarLimits, tarEntries } from './tar-stream.ts'
import { Unreadable } from './unreadable.ts'

/** Runtimes stack far fewer. */
const maxLayers = 1_000
/** What a layer may unpack to; a small one a thousandth of a byte for each. */
const maxUnpacked = 256 * 2 ** 30 /* bytes */
const maxRatio = 1_000
const maxEntries = 5_000_000

interface Options {
  progress: Progress
  signal: AbortSignal
}

/** The layers of all images as a tree: images that share their lowest layers share the way to them. */
interface Step {
  layer?: Descriptor
  next: Map<Digest, Step>
  images: ImageLayers[]
}

/** The file system after some layers, and what of them was not read. */
interface State {
  files: FileSystem<Kept>
  notRead: NotRead[]
}

/**
 * Returns what is installed in the images, in their order. Layers are read as streams out of the store, shared ones once, and nothing is
 * unpacked. What cannot be read is in `notRead`; throws what the store throws: DIGEST_MISMATCH.
 */
export async function readImages(
  store: ReadableStore,
  images: readonly ImageLayers[],
  options: Options,
): Promise<ImageContent[]> {
  const root = treeOf(images)
  const steps = stepsOf(root)
  options.progress.phase('Reading layers')
  options.progress.total(
    steps.length,
    steps.reduce((sum, { layer }) => sum + (layer?.size ?? 0), 0),
  )
  const found = new Map<ImageLayers, ImageContent>()
  const waiting: { step: Step; state: State }[] = [
    { step: root, state: { files: new FileSystem(), notRead: [] } },
  ]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { step, state } = next
    if (step.layer !== undefined) await applyLayer(state, { store, layer: step.layer, ...options })
    for (const image of step.images) found.set(image, installedIn(image, state))
    const children = [...step.next.values()]
    for (const [i, child] of children.entries()) {
      // the last one needs no copy: nothing else uses this state
      const own = i === 0 ? state : { files: state.files.clone(), notRead: [...state.notRead] }
      waiting.push({ step: child, state: own })
    }
  }
  return images.map(image => found.get(image)!)
}

function treeOf(images: readonly ImageLayers[]): Step {
  const root: Step = { next: new Map(), images: [] }
  for (const image of images) {
    let step = root
    for (const layer of image.layers.slice(0, maxLayers)) {
      let child = step.next.get(layer.digest)
      if (child === undefined) {
        child = { layer, next: new Map(), images: [] }
        step.next.set(layer.digest, child)
      }
      step = child
    }
    step.images.push(image)
  }
  return root
}

function stepsOf(root: Step): Step[] {
  const steps: Step[] = []
  const waiting = [...root.next.values()]
  for (let step = waiting.pop(); step !== undefined; step = waiting.pop()) {
    steps.push(step)
    waiting.push(...step.next.values())
  }
  return steps
}

async function applyLayer(
  state: State,
  { store, layer, progress, signal }: { store: ReadableStore; layer: Descriptor } & Options,
): Promise<void> {
  const finished = progress.running(layer.digest)
  state.files.nextLayer()
  try {
    if (!/\btar\b/.test(layer.mediaType)) throw new Unreadable(`its type is ${layer.mediaType.slice(0, 100)}`)
    if (!(await store.exists(layer))) throw new Unreadable('the bundle does not carry it')
    const limits: TarLimits = {
      bytes: Math.min(maxUnpacked, 2 ** 30 + layer.size * maxRatio),
      entries: maxEntries,
    }
    for await (const entry of tarEntries(layerTar(store, layer), limits)) {
      signal.throwIfAborted()
      await applyEntry(state, entry)
    }
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    state.notRead.push({ layer: layer.digest, reason: error.message })
  } finally {
    finished()
  }
  progress.advance(layer.size)
  progress.done(layer.digest, layer.size)
}

async function applyEntry({ files }: State, entry: TarEntry): Promise<void> {
  const place = files.place(entry.name)
  if (files.whiteOut(place)) return
  switch (entry.type) {
    case '5':
      files.addFolder(place)
      return
    case '2':
      files.addLink(place, entry.linkName)
      return
    case '1': {
      const isKnown = files.addHardLink(place, entry.linkName)
      const reason = 'it is a hard link to a file that is not read'
      if (!isKnown && isRead(place.join('/'), entry)) files.addFile(place, { type: 'unreadable', reason })
      return
    }
    case '0':
    case '7':
    case 'S': {
      const kept = await readFile(entry.content(), { path: place.join('/'), header: entry })
      if (kept === undefined) files.remove(place)
      else files.addFile(place, kept)
      return
    }
    default:
      // devices and pipes
      files.remove(place)
  }
}
