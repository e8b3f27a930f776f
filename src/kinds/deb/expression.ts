import { AirgapError } from '../../core/errors.ts'
import { globMatcher, isGlob } from '../../core/glob.ts'

type Matches = (text: string) => boolean

/**
 * pkgVersionMatch::ExpressionMatches: `/…/` is a POSIX extended regular expression, all else a pattern of fnmatch(3); letter case
 * does not count. Throws MANIFEST_INVALID for an invalid regular expression.
 */
export function expressionMatcher(pattern: string): Matches {
  const source = /^\/(.*)\/$/s.exec(pattern)?.[1]
  if (source !== undefined) {
    const expression = posixExpression(source, pattern)
    return text => expression.test(text)
  }
  const fits = globMatcher(pattern.toLowerCase())
  return text => fits(text.toLowerCase())
}

/** Versions: also a prefix, where the pattern ends with a star (pkgVersionMatch::MatchVer). */
export function versionMatcher(pattern: string): Matches {
  const fits = expressionMatcher(pattern)
  const [wanted, isPrefix] = pattern.endsWith('*') ? [pattern.slice(0, -1), true] : [pattern, false]
  const lower = wanted.toLowerCase()
  return text => {
    const version = text.toLowerCase()
    return (isPrefix ? version.startsWith(lower) : version === lower) || fits(text)
  }
}

/** Whether a text is an expression, not just a name or a version. */
export function isExpression(text: string): boolean {
  return isGlob(text) || isRegularExpression(text)
}

function isRegularExpression(text: string): boolean {
  return text.length > 1 && text.startsWith('/') && text.endsWith('/')
}

const classes: Record<string, string> = {
  alnum: 'A-Za-z0-9',
  alpha: 'A-Za-z',
  digit: '0-9',
  lower: 'a-z',
  upper: 'A-Z',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\s',
  blank: ' \\t',
  xdigit: '0-9A-Fa-f',
}

/** Bracket expressions differ from JavaScript's: they hold classes, and a backslash or `[` is an ordinary character. */
function posixExpression(source: string, pattern: string): RegExp {
  const written = source.replaceAll(/\\.|\[\^?\]?(?:\[:[a-z]+:\]|[^\]])*\]/g, part => {
    if (part.startsWith('\\')) return part
    const isNegated = part[1] === '^'
    const inside = part
      .slice(isNegated ? 2 : 1, -1)
      .replaceAll(/\[:([a-z]+):\]|[\\[\]]/g, (one, name?: string) =>
        name === undefined ? `\\${one}` : (classes[name] ?? one),
      )
    return `[${isNegated ? '^' : ''}${inside}]`
  })
  try {
    return new RegExp(written, 'i')
  } catch (error) {
    throw new AirgapError('MANIFEST_INVALID', 'the regular expression is invalid', {
      item: pattern.slice(0, 200),
      likely: error instanceof Error ? error.message : String(error),
      next: 'write it as apt_preferences(5) does: /^nvidia-/',
      cause: error,
    })
  }
}
