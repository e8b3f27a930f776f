/** A parser of bytes that come from elsewhere: an upstream, the medium, the network, a machine, a file that people edit. */
export interface Parser {
  name: string
  /** valid inputs, from which hostile ones are made */
  seeds: readonly Buffer[]
  /** Throws AirgapError for what it refuses, or one of `refusals`; anything else is a bug. */
  parse(bytes: Buffer): unknown
  /** names of errors that the callers of this parser expect */
  refusals?: readonly string[]
  /** bytes: no longer input reaches it */
  maxSize?: number
  /** another parser's library does most of the work, or the input costs seconds: fewer inputs */
  isSlow?: true
}

/** A parser of text. */
export function textParser(
  name: string,
  seeds: readonly string[],
  parse: (text: string) => unknown,
  more: Pick<Parser, 'refusals' | 'isSlow' | 'maxSize'> = {},
): Parser {
  return {
    name,
    seeds: seeds.map(text => Buffer.from(text)),
    parse: bytes => parse(bytes.toString('utf8')),
    ...more,
  }
}

/** A parser of a JSON value: text that is not JSON never reaches it. */
export function valueParser(
  name: string,
  seeds: readonly unknown[],
  parse: (value: unknown) => unknown,
): Parser {
  return textParser(
    name,
    seeds.map(value => JSON.stringify(value)),
    text => {
      let value: unknown
      try {
        value = JSON.parse(text)
      } catch {
        return
      }
      return parse(value)
    },
  )
}

export const digest = (letter: string) => `sha256:${letter.repeat(64)}`
