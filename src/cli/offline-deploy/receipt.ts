import type { Command } from 'commander'
import { writeAtomically } from '../../core/atomic-file.ts'
import { canonicalJson, compareText } from '../../core/canonical-json.ts'
import type { Digest } from '../../core/digest.ts'
import type { Shell } from '../shell/run.ts'
import { closeBundles, findSite, type OpenBundle, openBundles } from './context.ts'
import { locateBundles } from './locate.ts'
import { bundleOptions, type SiteOptions } from './options.ts'

/** What a site holds, for `airgap build --since`: the next bundle leaves these blobs out. No clock, no names of machines. */
interface Receipt {
  receiptVersion: 1
  bundles: { name: string; version: string; digest: Digest }[]
  /** sorted, each once */
  blobs: Digest[]
}

export function receiptCommand(program: Command, shell: Shell): void {
  bundleOptions(program.command('receipt'))
    .description(
      'what this site holds, for the next delta: airgap build --since RECEIPT; no names, no addresses',
    )
    .option('--out <file>', 'write it there (default: -o json prints it)')
    .action(async (options: SiteOptions & { out?: string }) => {
      const { saved } = await findSite(options)
      const given = options.bundle ?? []
      const paths = given.length > 0 || saved === undefined ? await locateBundles(given) : saved.bundles
      const bundles = await openBundles(paths)
      try {
        const receipt = receiptOf(bundles)
        if (options.out !== undefined) await writeAtomically(options.out, `${canonicalJson(receipt)}\n`)
        shell.print(receipt, () =>
          [
            ...receipt.bundles.map(({ name, version, digest }) => `bundle  ${name} ${version}  ${digest}`),
            `holds   ${receipt.blobs.length} blobs`,
            options.out === undefined
              ? 'as a file for the build host: offline-deploy receipt --out receipt.json'
              : `written ${options.out}`,
          ].join('\n'),
        )
      } finally {
        await closeBundles(bundles)
      }
    })
}

function receiptOf(bundles: readonly OpenBundle[]): Receipt {
  const blobs = new Set<Digest>()
  for (const { store } of bundles)
    for (const { type, digest } of store.entries())
      if (type === 'file' && digest !== undefined) blobs.add(digest)
  const named = bundles.map(({ store: { info, indexDigest } }) => {
    return [indexDigest, { name: info.name, version: info.version, digest: indexDigest }] as const
  })
  return {
    receiptVersion: 1,
    bundles: [...new Map(named).values()].sort(
      (a, b) => compareText(a.name, b.name) || compareText(a.digest, b.digest),
    ),
    blobs: [...blobs].sort(),
  }
}
