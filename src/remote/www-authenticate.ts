/** One challenge of a WWW-Authenticate header. The scheme and the names of parameters are lower-case. */
export interface Challenge {
  scheme: string
  parameters: Record<string, string>
}

/** The rest of a longer header is ignored: no registry needs as much, and the time to parse it stays bounded (CWE-1333). */
const maxLength = 8192

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const parameter = new RegExp(`^(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]*))`)
const schemeStart = new RegExp(`^(${token})(?=\\s|,|$)`)

/** Parses the challenges in order (RFC 9110 section 11.6.1), up to the first that is malformed. */
export function parseChallenges(header: string | undefined): Challenge[] {
  const challenges: Challenge[] = []
  let rest = (header ?? '').slice(0, maxLength).trim()
  while (rest !== '') {
    const pair = parameter.exec(rest)
    const current = challenges.at(-1)
    if (pair && current) {
      const value = pair[2] === undefined ? (pair[3] ?? '') : pair[2].replace(/\\(.)/g, '$1')
      current.parameters[pair[1]!.toLowerCase()] ??= value
      rest = rest.slice(pair[0].length)
    } else {
      const scheme = schemeStart.exec(rest)
      if (!scheme) return challenges
      challenges.push({
        scheme: scheme[1]!.toLowerCase(),
        parameters: Object.create(null) as Record<string, string>,
      })
      rest = rest.slice(scheme[0].length)
    }
    rest = rest.replace(/^[\s,]+/, '')
  }
  return challenges
}
