import { openOverlay } from '../../src/overlay/overlay.ts'

/** Collects all that is unreferenced, in a process that a test kills. */
const overlay = await openOverlay(process.argv[2] ?? '')
process.stdout.write('collecting\n')
await overlay.collect({ before: Date.now() })
await overlay.close()
