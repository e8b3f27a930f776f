import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { formatError, toReported } from '../../src/cli/shell/report-error.ts'
import { AirgapError } from '../../src/core/errors.ts'
import { loadManifest } from '../../src/manifest/load.ts'
import { openAnsible } from './kubespray-ansible.ts'
import { checkCheckout, openWorkspace } from './kubespray-checkout.ts'
import { countOf, type Difference, differenceOf, type Extra } from './kubespray-compare.ts'
import { architectures, type NeededFile, type Needs, needsOf } from './kubespray-needs.ts'

/** See scripts/kubespray-list. */

const usage =
  'scripts/kubespray-list CHECKOUT [--inventory DIR] [--arch amd64,arm64] [--set key=value]… [--manifest FILE] [-o text|json]'

interface Asked {
  checkout: string
  inventory: string
  architectures: string[]
  set: Record<string, unknown>
  manifest: string
  json: boolean
}

function parse(argv: string[]): Asked {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      inventory: { type: 'string' },
      arch: { type: 'string', default: architectures.join(',') },
      set: { type: 'string', multiple: true, default: [] },
      manifest: { type: 'string', default: join(import.meta.dirname, '../../manifests/astrago.yaml') },
      output: { type: 'string', short: 'o', default: 'text' },
    },
  })
  const [given, ...more] = positionals
  const asked = values.arch.split(',')
  const unknown = asked.filter(name => !architectures.includes(name))
  if (given === undefined || more.length > 0)
    throw misused('which checkout of kubespray?', positionals.join(' '))
  if (unknown.length > 0) throw misused('no such architecture', unknown.join(', '))
  if (!['text', 'json'].includes(values.output)) throw misused('no such format', values.output)
  const checkout = resolve(given)
  return {
    checkout,
    inventory: resolve(values.inventory ?? join(checkout, 'inventory/sample')),
    architectures: asked,
    set: Object.fromEntries(values.set.map(setting)),
    manifest: resolve(values.manifest),
    json: values.output === 'json',
  }
}

/** true and false are not text to a condition of ansible. */
function setting(written: string): [string, unknown] {
  const at = written.indexOf('=')
  if (at < 1) throw misused('not key=value', written)
  const value = written.slice(at + 1)
  return [written.slice(0, at), /^(true|false)$/.test(value) ? value === 'true' : value]
}

function misused(what: string, item: string): AirgapError {
  return new AirgapError('USAGE', what, { item, next: usage })
}

async function main(): Promise<void> {
  const asked = parse(process.argv.slice(2))
  await checkCheckout(asked.checkout, asked.inventory)
  const manifest = await loadManifest(asked.manifest)
  const ansible = await openAnsible(asked.checkout, text => console.error(text))
  const folder = await mkdtemp(join(tmpdir(), 'airgap-kubespray-'))
  try {
    const workspace = await openWorkspace(asked.checkout, { inventory: asked.inventory, folder, ansible })
    const needs = await needsOf(workspace, { asked: asked.architectures, set: asked.set })
    const difference = differenceOf(needs, manifest)
    const findings = countOf(difference)
    const { checkout, inventory } = asked
    const report = { checkout, inventory, manifest: manifest.file, ...needs, difference, findings }
    console.log(asked.json ? JSON.stringify(report, undefined, 2) : render(needs, difference))
    if (findings === 0) return
    throw new AirgapError('DIFFERENT', `${findings} differences`, {
      item: manifest.file,
      likely: 'kubespray, the inventory or the manifest has changed without the others',
      next: 'put into the manifest what is missing, take out what is additional, and check each other checksum',
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function render(needs: Needs, { missing, additional, different }: Difference): string {
  const { files, images } = needs
  const file = ({ sha256, url }: NeededFile) => `  ${sha256 ?? 'no checksum'.padEnd(64)}  ${url}`
  const extra = ({ name, at, why }: Extra) => `  ${name}\n      ${at}: ${why}`
  const sections: [string, string[]][] = [
    ['needed files', files.filter(one => one.needed).map(file)],
    ['needed images', images.filter(one => one.needed).map(one => `  ${one.reference}`)],
    ['optional files', files.filter(one => !one.needed).map(file)],
    ['optional images', images.filter(one => !one.needed).map(one => `  ${one.reference}`)],
    [
      'MISSING in the manifest',
      [...missing.files.map(file), ...missing.images.map(one => `  ${one.reference}`)],
    ],
    ['ADDITIONAL in the manifest', [...additional.files, ...additional.images].map(extra)],
    [
      'DIFFERENT sha256',
      different.map(
        one => `  ${one.url}\n      kubespray: ${one.kubespray}\n      ${one.at}: ${one.manifest ?? 'none'}`,
      ),
    ],
  ]
  const shown = sections.filter(([, lines]) => lines.length > 0)
  return [
    `Kubernetes ${needs.kubernetes}, ${needs.containerManager}, ${needs.networkPlugin}`,
    ...shown.flatMap(([title, lines]) => ['', `${title}: ${lines.length}`, ...lines]),
    ...(shown.length <= 4 ? ['', 'the manifest has just what is needed'] : []),
  ].join('\n')
}

try {
  await main()
} catch (error) {
  const reported = toReported(error, 'kubespray-list')
  const json = process.argv.includes('json')
  process.stderr.write(formatError(reported, { json, color: process.stderr.isTTY === true, verbose: false }))
  process.exitCode = reported.exitCode
}
