import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { layerParsers } from './layers.ts'
import { packageParsers } from './packages.ts'
import type { Parser } from './parser.ts'
import { pythonParsers } from './python.ts'
import { signatureParsers } from './signatures.ts'
import { siteParsers } from './site.ts'
import { upstreamParsers } from './upstreams.ts'

/** Every parser of foreign bytes. Tests feed them all: what a new one lacks here, no fuzzer finds. */
export async function allParsers(): Promise<Parser[]> {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-parsers-'))
  try {
    const path = join(folder, 'b.tar')
    await writeBundle(path, sampleStack())
    const site = siteParsers(readFileSync(path))
    return [
      ...packageParsers,
      ...pythonParsers,
      ...upstreamParsers,
      ...signatureParsers,
      ...site,
      ...layerParsers,
    ]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
