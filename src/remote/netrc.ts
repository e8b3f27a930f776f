/** One `machine` of a netrc file. */
export interface NetrcEntry {
  /** as written: a host; in apt's files also with a scheme, a port and a path */
  machine: string
  login: string
  password: string
}

/**
 * Reads netrc(5) as curl does, and auth.conf of apt_auth.conf(5), whose words are not quoted. Entries without a login and a
 * password are left out, and so is `default`: a password is only for a host that is named. Text that is neither is skipped.
 */
export function parseNetrc(text: string, options: { quotes: boolean }): NetrcEntry[] {
  const entries: Partial<NetrcEntry>[] = []
  let current: Partial<NetrcEntry> = {}
  const words = new Words(text, options)
  for (let word = words.next(); word !== undefined; word = words.next()) {
    switch (word) {
      case 'machine':
        current = { machine: words.value() }
        entries.push(current)
        break
      case 'default':
        current = {}
        break
      case 'login':
      case 'user':
        current.login = words.value()
        break
      case 'password':
      case 'passwd':
        current.password = words.value()
        break
      case 'account':
        words.value()
        break
      case 'macdef':
        words.skipMacro()
        break
    }
  }
  return entries.flatMap(({ machine, login, password }) =>
    machine && login && password !== undefined ? [{ machine, login, password }] : [],
  )
}

/** The words of the text, one after the other. */
class Words {
  readonly #text: string
  readonly #quotes: boolean
  #at = 0

  constructor(text: string, { quotes }: { quotes: boolean }) {
    this.#text = text
    this.#quotes = quotes
  }

  /** A key word; `#` in its place starts a comment. undefined at the end. */
  next(): string | undefined {
    this.#skip(/(?:[\s\0]|#[^\n]*)*/y)
    return this.#at < this.#text.length ? this.#plain() : undefined
  }

  /** A value: a password may begin with `#`. */
  value(): string {
    this.#skip(/[\s\0]*/y)
    return (this.#quotes ? this.#quoted() : undefined) ?? this.#plain()
  }

  /** A macro ends at an empty line. */
  skipMacro(): void {
    const end = /\n[ \t\r]*\n/g
    end.lastIndex = this.#at
    this.#at = end.exec(this.#text) === null ? this.#text.length : end.lastIndex
  }

  #plain(): string {
    return this.#skip(/[^\s\0]*/y)
  }

  #quoted(): string | undefined {
    const written = this.#skip(/"(?:[^"\\\n]|\\.)*"/y)
    if (written === '') return undefined
    const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t' }
    return written.slice(1, -1).replace(/\\(.)/g, (_, character: string) => escapes[character] ?? character)
  }

  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const [found = ''] = pattern.exec(this.#text) ?? []
    this.#at += found.length
    return found
  }
}
