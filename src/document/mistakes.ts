import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'

/** Collects mistakes, so that one run reports all of them. */
export interface Mistakes {
  add(mistake: AirgapError): void
  /** Runs `work`; records an AirgapError and returns undefined. */
  attempt<T>(work: () => T): T | undefined
  attemptLater<T>(work: () => Promise<T>): Promise<T | undefined>
  /** Throws one mistake as it is, several as one MANIFEST_INVALID that lists them. */
  throwIfAny(): void
}

/** At most this many are listed. */
const maxListed = 50

export function createMistakes(): Mistakes {
  const found: AirgapError[] = []
  const record = (error: unknown): undefined => {
    if (!(error instanceof AirgapError)) throw error
    found.push(error)
  }
  return {
    add: record,
    attempt(work) {
      try {
        return work()
      } catch (error) {
        return record(error)
      }
    },
    async attemptLater(work) {
      try {
        return await work()
      } catch (error) {
        return record(error)
      }
    },
    throwIfAny() {
      const [first] = found
      if (first === undefined) return
      if (found.length === 1) throw first
      const listed = found.slice(0, maxListed).flatMap(linesOf)
      const more = found.length > maxListed ? [`  … and ${found.length - maxListed} more`] : []
      throw new AirgapError(
        'MANIFEST_INVALID',
        [`the manifest is invalid (${found.length} mistakes):`, ...listed.map(line => `  ${line}`), ...more],
        {
          ...defined({ item: first.item }),
          next: first.next ?? 'correct them and run the same command again',
          cause: first,
        },
      )
    },
  }
}

function linesOf({ item, lines, likely }: AirgapError): string[] {
  const [first = '', ...more] = lines
  const head = `${item ?? 'manifest'}: ${first}`
  const because = likely === undefined ? '' : ` (${likely})`
  return more.length === 0 ? [`${head}${because}`] : [head, ...more.slice(0, -1), `${more.at(-1)}${because}`]
}
