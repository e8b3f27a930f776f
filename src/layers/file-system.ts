import { Unreadable } from './unreadable.ts'

/**
 * The file system of an image as far as it matters here: symbolic links, and the files that were kept. Layers are applied to it entry by
 * entry, as containerd does (pkg/archive/tar.go): links in a path are followed inside the root, a whiteout removes what lower layers have.
 */

interface Node<T> {
  /** the layer that it is from, counted from 0 */
  layer: number
  folder?: Map<string, Node<T>>
  /** target of a symbolic link */
  link?: string
  file?: T
}

const whiteout = '.wh.'
const opaque = '.wh..wh..opq'

/** PATH_MAX of Linux: longer paths cannot be created. */
const maxPath = 4096
/** As for containerd's `RootPath`. */
const maxHops = 255
/** Steps along paths for a whole image: an end for long chains of links (algorithmic complexity, CWE-407). */
const maxSteps = 100_000_000

export class FileSystem<T> {
  #root: Node<T> = { layer: 0, folder: new Map() }
  #layer = 0
  #steps = 0

  /** A copy that changes on its own; the kept files are the same objects. */
  clone(): FileSystem<T> {
    const copy = new FileSystem<T>()
    copy.#root = cloneNode(this.#root)
    copy.#layer = this.#layer
    copy.#steps = this.#steps
    return copy
  }

  /** What follows belongs to the next layer. */
  nextLayer(): void {
    this.#layer++
  }

  /** Returns where an entry of this name ends up, its last part not followed: `usr/lib/os-release`. Throws Unreadable. */
  place(name: string): string[] {
    return this.#resolve(name, { last: 'kept' })
  }

  /** Applies a whiteout; returns whether the name is one. */
  whiteOut(place: readonly string[]): boolean {
    const name = place.at(-1) ?? ''
    if (!name.startsWith(whiteout)) return false
    const folder = place.slice(0, -1)
    if (name === opaque) {
      const node = this.#at(folder)
      if (node !== undefined) this.#dropLower(node)
    } else if (!name.startsWith(`${whiteout}${whiteout}`)) {
      this.#dropLowerAt([...folder, name.slice(whiteout.length)])
    }
    // other names with the double prefix are metadata of AUFS
    return true
  }

  /** A folder replaces anything but a folder. */
  addFolder(place: readonly string[]): void {
    const node = this.#at(place)
    if (node !== undefined && node.folder === undefined) this.remove(place)
  }

  addLink(place: readonly string[], target: string): void {
    if (target.length > maxPath) throw new Unreadable('a symbolic link is longer than Linux allows')
    this.#set(place, { link: target })
  }

  addFile(place: readonly string[], file: T): void {
    this.#set(place, { file })
  }

  /** Returns whether the target is known; it replaces what was there in any case. */
  addHardLink(place: readonly string[], target: string): boolean {
    const found = this.#at(this.#resolve(target, { last: 'kept' }))
    this.remove(place)
    if (found === undefined || found.folder !== undefined) return false
    const { link, file } = found
    if (link !== undefined) this.#set(place, { link })
    else if (file !== undefined) this.#set(place, { file })
    return true
  }

  /** What an entry replaces, with everything below it. */
  remove(place: readonly string[]): void {
    const parents: Node<T>[] = []
    let node: Node<T> | undefined = this.#root
    for (const part of place) {
      parents.push(node)
      node = node.folder?.get(part)
      if (node === undefined) return
    }
    if (place.length > 0) parents.at(-1)!.folder!.delete(place.at(-1)!)
    this.#prune(parents, place)
  }

  /** The kept files with their paths, in no order. */
  *files(): Generator<[path: string, file: T]> {
    const waiting: [string, Node<T>][] = [['', this.#root]]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [path, { folder, file }] = next
      if (file !== undefined) yield [path, file]
      for (const [name, node] of folder ?? []) waiting.push([path === '' ? name : `${path}/${name}`, node])
    }
  }

  /** Returns the kept file at a path, links followed. */
  read(path: string): T | undefined {
    return this.#at(this.#resolve(path, { last: 'followed' }))?.file
  }

  /** The symbolic link that a path is, if it is one. */
  isLink(path: string): boolean {
    return this.#at(this.#resolve(path, { last: 'kept' }))?.link !== undefined
  }

  #resolve(name: string, { last }: { last: 'kept' | 'followed' }): string[] {
    if (name.length > maxPath) throw new Unreadable('a path is longer than Linux allows')
    const waiting = stepsOf(name)
    const done: string[] = []
    const nodes: (Node<T> | undefined)[] = [this.#root]
    let hops = 0
    for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
      if (++this.#steps > maxSteps) throw new Unreadable('its symbolic links take too many steps to follow')
      if (part === '..') {
        // the root is its own parent: no path leaves it
        if (done.pop() !== undefined) nodes.pop()
        continue
      }
      const node = nodes.at(-1)?.folder?.get(part)
      if (node?.link === undefined || (waiting.length === 0 && last === 'kept')) {
        done.push(part)
        nodes.push(node)
        continue
      }
      if (++hops > maxHops) throw new Unreadable('a path has too many symbolic links')
      if (node.link.startsWith('/')) {
        done.length = 0
        nodes.length = 1
      }
      waiting.push(...stepsOf(node.link))
    }
    return done
  }

  #at(place: readonly string[]): Node<T> | undefined {
    let node: Node<T> | undefined = this.#root
    for (const part of place) node = node?.folder?.get(part)
    return node
  }

  #set(place: readonly string[], content: { link: string } | { file: T }): void {
    if (place.length === 0) return
    this.remove(place)
    let node = this.#root
    for (const part of place.slice(0, -1)) {
      node.folder ??= new Map()
      let child = node.folder.get(part)
      if (child?.folder === undefined) {
        child = { layer: this.#layer, folder: new Map() }
        node.folder.set(part, child)
      }
      node = child
    }
    node.folder!.set(place.at(-1)!, { layer: this.#layer, ...content })
  }

  /** Folders are here only for what is in them. */
  #prune(parents: readonly Node<T>[], place: readonly string[]): void {
    for (let i = parents.length - 1; i > 0; i--) {
      if (parents[i]!.folder!.size > 0) return
      parents[i - 1]!.folder!.delete(place[i - 1]!)
    }
  }

  /** A whiteout hides lower layers only: what this layer adds stays, before or after it (image-spec, layer.md). */
  #dropLowerAt(place: readonly string[]): void {
    const node = this.#at(place)
    if (node === undefined) return
    if (node.folder !== undefined) this.#dropLower(node)
    if (node.folder === undefined ? node.layer < this.#layer : node.folder.size === 0) this.remove(place)
  }

  /** Depth is that of the paths, at most 2,048. */
  #dropLower(node: Node<T>): void {
    for (const [name, child] of node.folder ?? []) {
      if (child.folder !== undefined) this.#dropLower(child)
      if (child.folder === undefined ? child.layer < this.#layer : child.folder.size === 0)
        node.folder!.delete(name)
    }
  }
}

/** The parts of a path, the last first. */
function stepsOf(path: string): string[] {
  return path
    .split('/')
    .filter(part => part !== '' && part !== '.')
    .reverse()
}

function cloneNode<T>(node: Node<T>): Node<T> {
  if (node.folder === undefined) return node
  return { ...node, folder: new Map([...node.folder].map(([name, child]) => [name, cloneNode(child)])) }
}
