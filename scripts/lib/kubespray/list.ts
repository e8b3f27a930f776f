import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatError } from '../../../src/cli/shell/format-error.ts'
import { toReported } from '../../../src/cli/shell/report-error.ts'
import { AirgapError } from '../../../src/core/errors.ts'
import { loadManifest } from '../../../src/manifest/load.ts'
import { openAnsible } from './ansible.ts'
import { checkCheckout, openWorkspace } from './checkout.ts'
import { countOf, type Difference, differenceOf, type Extra } from './compare.ts'
import { type NeededFile, type Needs, needsOf } from './needs.ts'
import { architecturesOf, parseOptions } from './options.ts'
import { type SiteProblem, siteProblems } from './site-addresses.ts'

/** See scripts/kubespray-list. */

async function main(): Promise<void> {
  const { json, checkout, inventory, ...options } = parseOptions(process.argv.slice(2))
  await checkCheckout(checkout, inventory)
  const manifest = await loadManifest(options.manifest, { variants: options.variants })
  const architectures = architecturesOf(options.architectures, manifest)
  const ansible = await openAnsible(checkout, text => console.error(text))
  const folder = await mkdtemp(join(tmpdir(), 'airgap-kubespray-'))
  try {
    const workspace = await openWorkspace(checkout, { inventory, folder, ansible })
    const needs = await needsOf(workspace, { architectures, set: options.set })
    const difference = differenceOf(needs, manifest, options)
    const site = await siteProblems(workspace, { needs, manifest, architectures, set: options.set })
    const findings = countOf(difference) + site.length
    const report = { checkout, inventory, manifest: manifest.file, ...needs, difference, site, findings }
    console.log(json ? JSON.stringify(report, undefined, 2) : render(needs, { difference, site }))
    if (findings === 0) return
    throw new AirgapError('DIFFERENT', `${findings} differences`, {
      item: manifest.file,
      likely: 'kubespray, the inventory or the manifest changed without the others',
      next:
        site.length > countOf(difference)
          ? `correct the addresses in group_vars of ${inventory} for this kubespray (compare them with its own inventory/sample/group_vars/all/offline.yml)`
          : 'add what is missing to the manifest, remove what is additional, and verify each differing checksum',
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function render(
  needs: Needs,
  { difference: { missing, additional, different }, site }: { difference: Difference; site: SiteProblem[] },
): string {
  const { files, images } = needs
  const file = ({ sha256, url }: NeededFile) => `  ${sha256 ?? 'no checksum'.padEnd(64)}  ${url}`
  const extra = ({ name, at, why }: Extra) => `  ${name}\n      ${at}: ${why}`
  const problem = ({ name, address, why }: SiteProblem) =>
    `  ${name}: ${address === undefined ? why : `${address}\n      ${why}`}`
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
    ["WRONG on the site, by the inventory's own addresses", site.map(problem)],
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
    ...(shown.length <= 4 ? ['', 'the manifest matches'] : []),
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
