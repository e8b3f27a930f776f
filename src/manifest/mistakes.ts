import { AirgapError } from '../core/errors.ts'

/** Collects mistakes, so that a person sees all of them in one run. */
export interface Mistakes {
  add(mistake: AirgapError): void
  /** Runs `work`; an AirgapError is noted, and undefined returned. */
  attempt<T>(work: () => T): T | undefined
  attemptLater<T>(work: () => Promise<T>): Promise<T | undefined>
  /** One mistake is thrown as it is, several as one MANIFEST_INVALID that lists them. */
  throwIfAny(): void
}

/** So many are told. */
const maxTold = 50

export function createMistakes(): Mistakes {
  const found: AirgapError[] = []
  const note = (error: unknown): undefined => {
    if (!(error instanceof AirgapError)) throw error
    found.push(error)
  }
  return {
    add: note,
    attempt(work) {
      try {
        return work()
      } catch (error) {
        return note(error)
      }
    },
    async attemptLater(work) {
      try {
        return await work()
      } catch (error) {
        return note(error)
      }
    },
    throwIfAny() {
      const [first] = found
      if (first === undefined) return
      if (found.length === 1) throw first
      const told = found.slice(0, maxTold).map(tell)
      const more = found.length > maxTold ? `\n  … and ${found.length - maxTold} more` : ''
      throw new AirgapError(
        'MANIFEST_INVALID',
        `the manifest is not right (${found.length} mistakes):\n  ${told.join('\n  ')}${more}`,
        {
          ...(first.item === undefined ? {} : { item: first.item }),
          next: first.next ?? 'correct them and run the same command again',
          cause: first,
        },
      )
    },
  }
}

function tell({ item, message, likely }: AirgapError): string {
  return `${item ?? 'manifest'}: ${message}${likely === undefined ? '' : ` (${likely})`}`
}
