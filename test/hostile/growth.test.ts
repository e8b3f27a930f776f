import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import type { Growth } from './parsers/growth.ts'
import { allParsers } from './parsers/index.ts'

/**
 * Every parser gets hostile inputs of one, two and four times a size, and its steps are counted: calls, turns of loops, and what built-in functions
 * look at. Counts do not depend on how busy the machine is, unlike times. Patterns are checked by `test/regular-expressions.test.ts`.
 */
it('no parser takes steps that grow faster than its input (fault 109, fault 110, fault 111, fault 112)', async () => {
  const program = join(import.meta.dirname, 'parsers/count-steps.ts')
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const counted = new Set<string>()
  const found: string[] = []
  for await (const line of createInterface(child.stdout)) {
    const growth: Growth = JSON.parse(line)
    expect(growth.inputs, growth.parser).toBeGreaterThan(300)
    counted.add(growth.parser)
    for (const { what, steps } of growth.found) found.push(`${growth.parser}: ${what}: ${steps.join(', ')}`)
  }
  expect(found).toEqual([])
  expect([...counted].sort()).toEqual((await allParsers()).map(({ name }) => name).sort())
}, 900_000)
