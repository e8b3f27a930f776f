import { basename } from 'node:path'
import { openFileSource } from '../../bundle/byte-source.ts'
import { openBundle } from '../../bundle/reader.ts'
import { verifyStructure } from '../../bundle/verify.ts'
import { AirgapError } from '../../core/errors.ts'
import { type PushedBundle, pushBundle } from '../../publish/push-bundle.ts'
import { openPlace, parseBundleReference } from '../../publish/registry-place.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { checkRegistryFiles, type RegistryFlags } from './options.ts'

interface PushBundleOptions extends RegistryFlags {
  replace?: boolean
  keepHost?: boolean
  jobs: number
  dryRun?: boolean
}

/** `airgap push --as-bundle` */
export async function pushAsBundle(
  path: string,
  name: string,
  { options, shell }: { options: PushBundleOptions; shell: Shell },
): Promise<void> {
  if (options.keepHost === true)
    throw new AirgapError('USAGE', '--keep-host is incompatible with --as-bundle', {
      item: '--keep-host',
      next: 'remove --keep-host: the whole bundle has one name',
    })
  await checkRegistryFiles(options)
  const source = await openFileSource(path)
  const bundle = await openBundle(source)
  try {
    const reference = parseBundleReference(name, bundle.info.version)
    const progress = shell.progress()
    await verifyStructure(source)
    const place = openPlace(reference, {
      access: 'pull,push',
      plainHttp: options.plainHttp ?? false,
      caFile: options.caFile,
      registryConfig: options.registryConfig,
      jobs: options.jobs,
      progress,
      signal: shell.signal,
    })
    shell.whenStopped('run the same command again: it skips what the registry already has')
    const dryRun = options.dryRun ?? false
    try {
      const pushed = await pushBundle(bundle, place, {
        file: basename(path),
        path,
        replace: options.replace ?? false,
        dryRun,
        jobs: options.jobs,
        progress,
        signal: shell.signal,
      })
      shell.print({ ...pushed, dryRun }, () => render(pushed, dryRun))
    } finally {
      await place.close()
    }
  } finally {
    await bundle.close()
  }
}

function render(pushed: PushedBundle, dryRun: boolean): string[] {
  const row = (title: string, { blobs, bytes }: PushedBundle['uploaded']) =>
    `  ${title} ${blobs} blobs, ${humanBytes(bytes)}`
  return [
    `${pushed.reference}${dryRun ? ': would be pushed' : ''}`,
    `  digest   ${pushed.digest}`,
    `  manifest ${pushed.manifest}`,
    row(dryRun ? 'missing ' : 'uploaded', pushed.uploaded),
    row('present ', pushed.present),
    pushed.files.length === 0
      ? '  files    none next to the bundle: it has no signatures'
      : `  files    ${pushed.files.join(', ')}`,
  ]
}
