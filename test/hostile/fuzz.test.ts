import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { fuzz } from './parsers/fuzz.ts'

/**
 * Variables of a long run: AIRGAP_FUZZ_MINUTES, AIRGAP_FUZZ_SEED, AIRGAP_FUZZ_PARSER (one by its name), and AIRGAP_FUZZ_OUT, a folder for the
 * inputs that were found.
 */
const { AIRGAP_FUZZ_MINUTES, AIRGAP_FUZZ_SEED, AIRGAP_FUZZ_PARSER, AIRGAP_FUZZ_OUT } = process.env
const ms = AIRGAP_FUZZ_MINUTES === undefined ? 20_000 : Number(AIRGAP_FUZZ_MINUTES) * 60_000

it(
  'no parser crashes or hangs on hostile input',
  async () => {
    const seed = Number(AIRGAP_FUZZ_SEED ?? 1)
    const { counts, crashes, hangs } = await fuzz({ ms, seed, only: AIRGAP_FUZZ_PARSER })
    if (AIRGAP_FUZZ_MINUTES !== undefined)
      console.log([...counts].map(([name, count]) => `${String(count).padStart(9)} ${name}`).join('\n'))
    if (AIRGAP_FUZZ_OUT !== undefined) {
      await mkdir(AIRGAP_FUZZ_OUT, { recursive: true })
      for (const [i, { input }] of [...crashes, ...hangs].entries())
        await writeFile(join(AIRGAP_FUZZ_OUT, `input-${i}`), input)
    }
    expect(crashes.map(({ what }) => what)).toEqual([])
    expect(hangs.map(({ parser }) => parser)).toEqual([])
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0)
  },
  ms + 120_000,
)
