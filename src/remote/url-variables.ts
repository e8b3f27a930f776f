/**
 * Replaces variables in the URL of a yum repository as dnf does (dnf.conf(5), "VARIABLES"; libdnf's ConfigParser::substitute): `$name`,
 * `${name}`, `${name:-word}` (the word where the variable is unset or empty) and `${name:+word}` (the word where it is neither); a
 * backslash keeps the next character. dnf leaves an unknown variable as it is; here it is reported to `unknown`.
 */
export function substituteVariables(
  text: string,
  { variables, unknown }: { variables: Readonly<Record<string, string>>; unknown?: (name: string) => void },
): string {
  const expand = (written: string, depth: number): string =>
    depth > maxDepth
      ? written
      : written.replace(pattern, (whole, kept, plain, braced, operator, word) => {
          if (kept !== undefined) return kept
          const name = plain ?? braced
          const value = Object.hasOwn(variables, name) ? variables[name]! : undefined
          if (operator === ':-') return value || expand(word, depth + 1)
          if (operator === ':+') return value ? expand(word, depth + 1) : ''
          if (value === undefined) unknown?.(name)
          return value ?? whole
        })
  return expand(text, 0)
}

/** A word may contain variables, one level deep. */
const pattern =
  /\\([\s\S])|\$(?:([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)(?:(:[-+])((?:[^{}$\\]|\\[\s\S]|\$\{[^{}]*\}|\$(?!\{))*))?\})/g
const maxDepth = 8
