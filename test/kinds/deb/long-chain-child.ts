import { AirgapError } from '../../../src/core/errors.ts'
import { closureOf } from '../../../src/kinds/deb/closure.ts'
import { Universe } from '../../../src/kinds/deb/universe.ts'
import { listOf } from './support/world.ts'

// Resolves a chain of so many packages on the main thread, and prints how many were selected, or the error.
const length = Number(process.argv[2])
const packages = Array.from({ length }, (_, i) => ({
  name: `p${i}`,
  version: '1',
  ...(i + 1 < length ? { depends: `p${i + 1}` } : {}),
}))
try {
  const universe = new Universe([listOf(packages)], { architecture: 'amd64' })
  const selected = closureOf(universe, { names: ['p0'], recommends: false, at: 'stack.yaml' })
  process.stdout.write(`${selected.length}\n`)
} catch (error) {
  if (!(error instanceof AirgapError)) throw error
  process.stdout.write(`${error.code} ${error.message}\n`)
}
