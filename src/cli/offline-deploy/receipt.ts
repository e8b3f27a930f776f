import type { Command } from 'commander'
import { writeAtomically } from '../../core/atomic-file.ts'
import { canonicalJson, compareText } from '../../core/canonical-json.ts'
import type { Digest } from '../../core/digest.ts'
import type { Shell } from '../shell/run.ts'
import { closeBundles, findSite, type OpenBundle, openBundles } from './context.ts'
import { locateBundles } from './locate.ts'
import { bundleOptions, type SiteOptions } from './options.ts'

/** What a site holds, so that the next bundle need not bring it again. It has no clock, no host names and no addresses. */
interface Receipt {
  receiptVersion: 1
  bundles: { name: string; version: string; digest: Digest }[]
  /** sorted, each once */
  blobs: Digest[]
}

export function receiptCommand(program: Command, shell: Shell): void {
  bundleOptions(program.command('receipt'))
    .description(
      'List what this site holds, for the people who prepare the next bundle; without host names and addresses',
    )
    .option('--out <file>', 'Also write the receipt to a file')
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
              ? 'to carry it to the build host as a file: offline-deploy receipt --out receipt.json'
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
