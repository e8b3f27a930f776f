import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AirgapError, type ErrorCode } from '../../src/core/errors.ts'
import { together } from '../../src/core/failures.ts'

const error = (code: ErrorCode, item = code.toLowerCase()) =>
  new AirgapError(code, `what of ${code}`, { item, likely: 'likely', next: 'next' })

describe('several failures', () => {
  it('that are one are itself', () => {
    const only = error('NETWORK')
    expect(together([only], 7)).toBe(only)
  })

  it('are all told, each with its item, cause and what to do', () => {
    const told = together([error('NETWORK', 'first'), error('PLATFORM_MISSING', 'second')], 7)
    expect(told).toMatchObject({ code: 'PLATFORM_MISSING', exitCode: 4 })
    const lines = String((told as AirgapError).message).split('\n')
    expect(lines[0]).toBe('2 of 7 items failed:')
    expect(lines.map(line => line.trim()).slice(1)).toEqual([
      'NETWORK: what of NETWORK',
      'first',
      'likely: likely',
      'next: next',
      'PLATFORM_MISSING: what of PLATFORM_MISSING',
      'second',
      'likely: likely',
      'next: next',
    ])
  })

  it('have the exit code of the worst, whatever their order (property)', () => {
    const codes: ErrorCode[] = [
      'DIGEST_MISMATCH',
      'NO_SPACE',
      'USAGE',
      'UNRESOLVABLE',
      'NETWORK',
      'STEP_FAILED',
    ]
    fc.assert(
      fc.property(fc.shuffledSubarray(codes, { minLength: 2 }), some => {
        const worst = codes.find(code => some.includes(code))
        expect(
          together(
            some.map(code => error(code)),
            9,
          ),
        ).toMatchObject({ code: worst })
      }),
    )
  })

  it('with a bug among them are that bug, but a wrong digest comes first', () => {
    const bug = new TypeError('x is not a function')
    expect(together([error('NETWORK'), bug], 2)).toBe(bug)
    expect(together([error('NETWORK'), bug, error('SIGNATURE_INVALID')], 3)).toMatchObject({ exitCode: 6 })
  })
})
