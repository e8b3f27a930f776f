import { leadsCloser } from '../../remote/addresses.ts'
import { type FileHash, fragmentHashes } from './file-hash.ts'
import { fileNameOf } from './file-name.ts'

/** The address of a file, without its fragment. */
export interface PageLink {
  url: string
  /** the last part of its path */
  filename: string
  /** in its fragment */
  hashes: FileHash[]
}

/**
 * An https address that is already written as URL writes it: a host name with a last label of letters (no address in any form), segments
 * without dots at their start and without escapes; no label has two dashes, as those of punycode have. A URL object for each link of a page would take longer than all else.
 */
const plainAddress =
  /^(https:\/\/(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]+\/)(?:[\w+~-][\w.+~-]*\/)*([\w+~-][\w.+~-]*)$/
const plainFragment = /^[\w=&]*$/

/**
 * Reads the links of one page. Files may be on another host, as PyPI's are; their digests are on the page. A link with another scheme, or from
 * https down to http, is ignored (fault 53), and so is one from a public index to this host or a private network, and one with a login.
 */
export class PageLinks {
  /** the page as it was answered, where that is known */
  readonly namedBy: string | undefined
  readonly #base: string
  readonly #page: URL
  /** by the root of the address: whether files may be there */
  readonly #roots = new Map<string, boolean>()

  constructor({ page, base, namedBy }: { page: string; base: string; namedBy?: string | undefined }) {
    this.namedBy = namedBy
    this.#base = base
    this.#page = new URL(page)
  }

  read(href: string): PageLink | undefined {
    const hash = href.indexOf('#')
    const address = hash < 0 ? href : href.slice(0, hash)
    const fragment = hash < 0 ? '' : href.slice(hash + 1)
    const plain = plainFragment.test(fragment) ? plainAddress.exec(address) : null
    if (plain === null) return this.#readUrl(href)
    const [, root, filename] = plain
    if (!this.#isRootAllowed(root!)) return undefined
    return { url: address, filename: filename!, hashes: fragment === '' ? [] : fragmentHashes(fragment) }
  }

  #readUrl(href: string): PageLink | undefined {
    if (!URL.canParse(href, this.#base)) return undefined
    const url = new URL(href, this.#base)
    if (!this.#isAllowed(url)) return undefined
    const hashes = fragmentHashes(url.hash.slice(1))
    url.hash = ''
    return { url: url.href, filename: fileNameOf(url), hashes }
  }

  #isRootAllowed(root: string): boolean {
    const known = this.#roots.get(root)
    if (known !== undefined) return known
    const isAllowed = this.#isAllowed(new URL(root))
    this.#roots.set(root, isAllowed)
    return isAllowed
  }

  #isAllowed(url: URL): boolean {
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && this.#page.protocol === 'http:'))
      return false
    return url.username === '' && url.password === '' && !leadsCloser(url, { from: this.#page })
  }
}
