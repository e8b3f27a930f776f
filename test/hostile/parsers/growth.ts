import { repeated, tokens } from './mutate.ts'
import type { Parser } from './parser.ts'

export interface Growth {
  parser: string
  inputs: number
  /** inputs whose steps grow faster than they do */
  found: { what: string; steps: number[] }[]
}

/** Bytes of the hostile part of an input: 1×, 2×, 4×. */
const sizes = [1_000, 2_000, 4_000]
/** Twice the input may take this many times the steps, once: 2 where they grow in proportion, 2.2 with a sorted list, 4 in the square. */
const allowed = 2.7
/** Steps per byte that no limit allows, whatever their growth. */
const perByte = 5_000
/** Steps for the longest input that a parser takes. */
const mostBounded = 100_000_000
/** Fewer are noise. */
const fewest = 40_000

/** The parts of which hostile inputs are made: what a format gives a meaning to, and pieces of the parser's own inputs. */
function partsOf({ seeds }: Parser): Buffer[] {
  const own = seeds.flatMap(seed => {
    const at = (part: number) => Math.floor(seed.length * part)
    const text = seed.toString('latin1')
    const lines = text.split('\n').slice(0, 12)
    const tags = text.match(/<[^<>]{1,80}>?/g)?.slice(0, 12) ?? []
    const cut = lines
      .filter(line => line.length > 3 && line.length < 200)
      .map(line => line.slice(0, line.length >> 1))
    return [
      seed,
      seed.subarray(at(0.3), at(0.3) + 40),
      seed.subarray(at(0.6), at(0.6) + 25),
      ...[...lines, ...lines.map(line => `${line}\n`), ...cut, ...tags].map(line =>
        Buffer.from(line, 'latin1'),
      ),
    ]
  })
  const texts = [
    ...tokens,
    ' \n',
    'a ',
    'a\n',
    '? ',
    '\\"',
    "''",
    '- a: ',
    '<a ',
    '<a>',
    'a=',
    'a:',
    '(a ',
    '\\\\n',
    '1.',
    'a.',
    'a,',
  ]
  const parts = [...texts.map(token => Buffer.from(token)), ...own].filter(part => part.length > 0)
  return [...new Map(parts.map(part => [part.toString('latin1'), part])).values()]
}

/** Where the hostile part goes: before, after, and inside of a valid input, at the ends of its words. */
function placesIn(seed: Buffer): number[] {
  const inside = [0.15, 0.35, 0.55, 0.75, 0.9].map(part => {
    const start = Math.floor(seed.length * part)
    const end = seed.subarray(start).findIndex(byte => byte < 0x30)
    return end < 0 ? start : start + end
  })
  return [...new Set([0, ...inside, seed.length])]
}

/** Counts the steps of a parser on hostile inputs of three sizes. */
export async function growthOf(parser: Parser, count: { steps(): number; reset(): void }): Promise<Growth> {
  const growth: Growth = { parser: parser.name, inputs: 0, found: [] }
  const stepsOf = async (input: Buffer): Promise<number> => {
    count.reset()
    try {
      await parser.parse(input)
    } catch {
      // refused is as good
    }
    return count.steps()
  }
  const parts = partsOf(parser)
  for (const seed of parser.seeds) {
    const places = placesIn(seed)
    for (const [i, part] of parts.entries()) {
      // each part in two of the places: all of them would take minutes
      for (const place of new Set([places[i % places.length]!, places[(i * 3 + 1) % places.length]!])) {
        const steps: number[] = []
        for (const size of sizes) {
          const hostile = repeated(part, size)
          steps.push(await stepsOf(Buffer.concat([seed.subarray(0, place), hostile, seed.subarray(place)])))
          growth.inputs++
        }
        const [first = 0, second = 0, last = 0] = steps
        const grows = last > fewest && second > allowed * first && last > allowed * second
        // the square of a small number is small: Node's own parser of queries
        const isBounded =
          last * ((parser.maxSize ?? Number.POSITIVE_INFINITY) / sizes.at(-1)!) ** 2 < mostBounded
        if ((grows && !isBounded) || last > perByte * sizes.at(-1)!)
          growth.found.push({
            what: `${JSON.stringify(part.toString('latin1').slice(0, 80))} at ${place}`,
            steps,
          })
      }
    }
  }
  return growth
}
