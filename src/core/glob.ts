import { posix } from 'node:path'
import { withoutTrailing } from './trim.ts'

/** Whether a text is a pattern for globMatcher, not just a name (libdnf's hy_is_glob_pattern). */
export function isGlob(text: string): boolean {
  return /[*?[]/.test(text)
}

/**
 * Compiles a pattern as fnmatch(3) and glob(7) define it: `*`, `?`, `[a-z]`, `[!a-z]`, `[[:digit:]]`, and a backslash that
 * makes the next character literal. Braces and extended globs have no meaning; a leading dot is a character like any other.
 *
 * With `paths`, wildcards do not match a slash, but `**` does; `**` followed by a slash also matches nothing (gitignore(5)).
 *
 * Matching takes time in proportion to pattern times text at most. A regular expression with many stars would take
 * exponential time on a name that upstream chose (CWE-1333).
 */
export function globMatcher(
  pattern: string,
  { paths = false }: { paths?: boolean } = {},
): (text: string) => boolean {
  const tokens = parse(pattern, paths)
  const end = tokens.length
  const prefix = literalPrefix(tokens)
  return text => {
    if (!text.startsWith(prefix)) return false
    // which tokens may come next: a nondeterministic automaton, all of its states at once
    let states = start(tokens)
    for (const character of text) {
      const next = new Uint8Array(end + 1)
      let alive = false
      for (let i = 0; i < end; i++) {
        const token = tokens[i]!
        if (states[i] === 0 || !token.matches(character)) continue
        next[token.repeats ? i : i + 1] = 1
        alive = true
      }
      if (!alive) return false
      states = skipOptional(next, tokens)
    }
    return states[end] === 1
  }
}

interface Token {
  /** undefined for wildcards */
  literal?: string
  matches(character: string): boolean
  /** a star: any number of such characters, or none */
  repeats?: boolean
  /** matches nothing itself: before a double star with a slash, which may be skipped together */
  isFolders?: boolean
}

function start(tokens: readonly Token[]): Uint8Array {
  const states = new Uint8Array(tokens.length + 1)
  states[0] = 1
  return skipOptional(states, tokens)
}

function skipOptional(states: Uint8Array, tokens: readonly Token[]): Uint8Array {
  tokens.forEach(({ repeats, isFolders }, i) => {
    if (states[i] === 0) return
    if (repeats || isFolders) states[i + 1] = 1
    if (isFolders) states[i + 3] = 1
  })
  return states
}

function literalPrefix(tokens: readonly Token[]): string {
  const wild = tokens.findIndex(({ literal }) => literal === undefined)
  return (wild < 0 ? tokens : tokens.slice(0, wild)).map(({ literal }) => literal).join('')
}

const bracket = /\[[!^]?\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*\]/suy
const simple = /\*+\/?|\\.|./suy

function parse(pattern: string, paths: boolean): Token[] {
  const tokens: Token[] = []
  const any = (character: string) => !paths || character !== '/'
  const literal = (text: string) => tokens.push({ literal: text, matches: character => character === text })
  // an unterminated bracket is a character, and so are those after it: looking for their end again would take quadratic time
  let hasBrackets = true
  for (let at = 0; at < pattern.length; ) {
    const set: string | undefined =
      hasBrackets && pattern[at] === '[' ? partAt(pattern, { at, of: bracket }) : undefined
    if (pattern[at] === '[') hasBrackets = set !== undefined
    const part = set ?? partAt(pattern, { at, of: simple }) ?? ''
    const before = pattern[at - 1]
    at += part.length
    if (set !== undefined) {
      const inSet = characterSet(part.slice(1, -1))
      tokens.push({ matches: character => any(character) && inSet(character) })
    } else if (part.startsWith('*')) {
      const stars = part.replace('/', '')
      const isDouble = paths && stars.length > 1
      if (isDouble && part.endsWith('/') && (before === undefined || before === '/'))
        tokens.push({ matches: () => false, isFolders: true })
      tokens.push({ matches: isDouble ? () => true : any, repeats: true })
      if (part.endsWith('/')) literal('/')
    } else if (part === '?') tokens.push({ matches: any })
    else literal(part.length > 1 && part.startsWith('\\') ? part.slice(1) : part)
  }
  return tokens
}

function partAt(pattern: string, { at, of }: { at: number; of: RegExp }): string | undefined {
  of.lastIndex = at
  return of.exec(pattern)?.[0]
}

const classes: Record<string, RegExp> = {
  alnum: /[A-Za-z0-9]/,
  alpha: /[A-Za-z]/,
  digit: /[0-9]/,
  lower: /[a-z]/,
  upper: /[A-Z]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /\s/,
  xdigit: /[0-9A-Fa-f]/,
}

/** A bracket expression (POSIX section 9.3.5) in the C locale: ranges by code point. */
function characterSet(text: string): (character: string) => boolean {
  const negated = /^[!^]/.test(text)
  const tests: ((character: string) => boolean)[] = []
  const parts = negated ? text.slice(1) : text
  for (const match of parts.matchAll(/\[:([a-z]+):\]|(\\.|.)(?:-(\\.|.))?/gsu)) {
    const [, name, from, to] = match
    const wanted = name === undefined ? undefined : classes[name]
    if (name !== undefined) tests.push(character => wanted?.test(character) === true)
    else {
      const first = codePoint(from)
      const last = to === undefined ? first : codePoint(to)
      tests.push(character => codePoint(character) >= first && codePoint(character) <= last)
    }
  }
  return character => tests.some(test => test(character)) !== negated
}

function codePoint(character = ''): number {
  return (
    (character.length > 1 && character.startsWith('\\') ? character.slice(1) : character).codePointAt(0) ?? 0
  )
}

/** Compiles a pattern of paths that matches a whole path or a whole name. */
export function pathMatcher(pattern: string): (path: string) => boolean {
  const matches = globMatcher(withoutTrailing(pattern, '/'), { paths: true })
  return path => matches(path) || matches(posix.basename(path))
}
