import { resolve } from 'node:path'
import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { distinctRequests } from '../../document/distinct.ts'
import { httpUrlField, nameField, textField } from '../../document/fields.ts'
import { publicBaseUrl } from '../../document/urls.ts'
import { type LoadContext, manifestEntry } from '../entry.ts'
import {
  type BaseSystem,
  baseField,
  baseOf,
  distinctTexts,
  packageLines,
  priorityField,
} from '../package-entry.ts'
import { expressionMatcher } from './expression.ts'
import { type DebPin, pinPackage, pinSource } from './pin.ts'
import { parseRequest } from './request.ts'

/** One suite of one signed archive. */
export interface DebSource {
  archive: string
  /** `bookworm`, `bookworm-updates`; of a flat repository the folder, with a slash at its end: `./` */
  suite: string
  /** the Suite or Codename that its Release file must have; undefined: as the suite is written, as apt compares it */
  suiteName?: string
  /** empty where the repository is flat */
  components: string[]
  /** absolute paths of OpenPGP public keys */
  keys: string[]
  /** for the digest of inputs, which does not depend on the folder of the manifest */
  keysAsWritten: string[]
  /** apt_preferences(5); undefined: what the Release file says (500; 100 or 1 where it is NotAutomatic) */
  priority?: number
}

export interface DebRequest {
  at: string
  /** the OS release, and the folder under /debs: `ubuntu-22.04` */
  name: string
  sources: DebSource[]
  /** each is resolved separately */
  architectures: string[]
  /** further architectures on the same machine (`dpkg --add-architecture`): for `pkg:i386` */
  foreignArchitectures: string[]
  /** sorted, without duplicates: `name[:architecture][=version | /suite]` */
  packages: string[]
  /** one of them, for each kernel of the probed machines; `{kernel}` is replaced by `uname -r` */
  kernelPackages: string[]
  /** of the probed machines */
  kernels?: string[]
  recommends: boolean
  pins: DebPin[]
  base: BaseSystem
}

const sourceFields = {
  archive: httpUrlField,
  components: z.array(textField).default(['main']),
  /** OpenPGP public keys (armored or binary) that may sign the suites */
  keys: z.array(textField).min(1),
  /** the Suite or Codename in the Release file, where it is another one than the suite's */
  suiteName: textField.optional(),
  priority: priorityField.optional(),
}

const fields = {
  name: nameField,
  architectures: z.array(nameField).min(1).default(['amd64']),
  foreignArchitectures: z.array(nameField).default([]),
  /** package names; `pkg=version` requests one version (also `1.2*`), `pkg/suite` the one of a suite, `pkg:i386` that of an architecture */
  packages: z.array(textField).default([]),
  /** files with one package per line */
  lists: z.array(textField).default([]),
  /** with `lock --site`: for each kernel of the machines, `{kernel}` being its release */
  kernelPackages: z.array(textField).default([]),
  recommends: z.boolean().default(false),
  pins: z
    .array(
      z.strictObject({
        packages: z.array(textField).min(1),
        version: textField.optional(),
        suite: textField.optional(),
        archive: textField.optional(),
        codename: textField.optional(),
        origin: textField.optional(),
        host: textField.optional(),
        label: textField.optional(),
        component: textField.optional(),
        releaseVersion: textField.optional(),
        // apt_preferences(5): there is no priority 0
        priority: priorityField.refine(priority => priority !== 0, 'a priority is below or above 0'),
      }),
    )
    .default([]),
  base: baseField.default('none'),
}

const schema = z.union([
  z.strictObject({ ...fields, ...sourceFields, suite: textField }),
  z.strictObject({
    ...fields,
    sources: z.array(z.strictObject({ ...sourceFields, suites: z.array(textField).min(1) })).min(1),
  }),
])
type Entry = z.infer<typeof schema>

export const debEntry = manifestEntry({
  key: 'debs',
  schema,
  load,
  starter: `\
# debs:                                       # Debian, Ubuntu: one repository per OS release, with all that the packages need
#   - name: ubuntu-22.04
#     sources:                                # or archive:, suite: and keys: right here, where it is one suite
#       - archive: http://archive.ubuntu.com/ubuntu   # a login goes into ~/.netrc or apt's auth.conf, never into a URL
#         suites: [jammy, jammy-updates, jammy-security]   # a flat repository's ends with a slash: ./
#         components: [main, universe]
#         keys: [keys/ubuntu-archive.asc]     # who may sign them
#         suiteName: resolute                 # where the Release file has another Suite and Codename than suites: says
#         priority: 500                       # as apt_preferences(5)
#     architectures: [amd64]
#     foreignArchitectures: [i386]            # on the same machine, for pkg:i386
#     packages: [jq, socat]                   # pkg, pkg=version, pkg=1.2*, pkg/suite, pkg:architecture
#     lists: [packages.txt]
#     kernelPackages: ["linux-headers-{kernel}"]   # for the kernels of a site: airgap lock --site probe.json
#     recommends: false
#     pins: [{packages: [containerd*], suite: jammy-updates, priority: 990}]   # packages: also /^nvidia-/; or by
#                                             # version:, origin:, host:, label:, codename:, archive:, component:, releaseVersion:
#     base: none                              # or what the machines have already: minimal, server, cloud, {list: FILE}
`,
})

async function load(entries: readonly Entry[], context: LoadContext): Promise<DebRequest[]> {
  const requests: DebRequest[] = []
  for (const [index, entry] of entries.entries()) {
    const lines = await packageLines(context, index, entry)
    const base = await baseOf(context, index, { written: entry.base, command: listCommand })
    if (lines === undefined || base === undefined) continue
    for (const line of lines) context.mistakes.attempt(() => parseRequest(line.text, line.at))
    for (const [i, pin] of entry.pins.entries())
      context.mistakes.attempt(() => checkPin(defined(pin), context.at(index, 'pins', i)))
    const sources = context.mistakes.attempt(() => sourcesOf(entry, index, context))
    if (sources === undefined) continue
    requests.push({
      at: context.at(index),
      name: entry.name,
      sources,
      architectures: entry.architectures,
      foreignArchitectures: entry.foreignArchitectures,
      packages: distinctTexts(lines),
      kernelPackages: entry.kernelPackages,
      recommends: entry.recommends,
      pins: entry.pins.map(pin => defined(pin)),
      base,
    })
  }
  return distinctRequests(requests, { nameOf: deb => deb.name, mistakes: context.mistakes })
}

/** Throws MANIFEST_INVALID for an invalid regular expression. */
function checkPin(pin: DebPin, at: string): void {
  try {
    for (const name of pin.packages) pinPackage(name, 'amd64')
    pinSource(pin)
    if (pin.version !== undefined) expressionMatcher(pin.version)
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    throw new AirgapError('MANIFEST_INVALID', `${error.message}: ${error.item ?? ''}`, {
      ...defined({ likely: error.likely, next: error.next }),
      item: at,
    })
  }
}

const listCommand = "dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n'"

function sourcesOf(entry: Entry, index: number, { at, folder }: LoadContext): DebSource[] {
  const written =
    'sources' in entry
      ? entry.sources.map((source, i) => ({ ...source, place: at(index, 'sources', i, 'archive') }))
      : [{ ...entry, suites: [entry.suite], place: at(index, 'archive') }]
  return written.flatMap(({ archive, suites, components, keys, suiteName, priority, place }) => {
    publicBaseUrl(archive, place)
    return suites.map(suite => ({
      archive,
      suite,
      components: suite.endsWith('/') ? [] : components,
      keys: keys.map(key => resolve(folder, key)),
      keysAsWritten: keys,
      ...defined({ suiteName, priority }),
    }))
  })
}
