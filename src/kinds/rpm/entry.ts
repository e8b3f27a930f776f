import { resolve } from 'node:path'
import { z } from 'zod'
import { compareText } from '../../core/canonical-json.ts'
import { AirgapError } from '../../core/errors.ts'
import { distinctRequests } from '../../document/distinct.ts'
import { nameField, textField } from '../../document/fields.ts'
import { type LoadContext, manifestEntry } from '../entry.ts'
import {
  type BaseSystem,
  baseField,
  baseOf,
  distinctTexts,
  packageLines,
  priorityField,
} from '../package-entry.ts'
import { placesOf, type RepositoryPlace } from './repository-place.ts'

/** A yum repository of the RHEL family. */
export interface RpmRepository {
  /** folder under /rpms/NAME */
  id: string
  /** one of the three is present: where it is, or what lists its mirrors */
  baseurl?: string
  mirrorlist?: string
  metalink?: string
  /** with a list of mirrors: what may be in the URLs that it contains */
  variables?: Record<string, string>
  /** absolute paths of OpenPGP public keys that sign packages, and repomd.xml */
  keys: string[]
  keysAsWritten: string[]
  /** whether the publisher signs repomd.xml */
  metadata: 'signed' | 'unsigned'
  /** whether the publisher signs packages; at least one of the two is signed */
  packages: 'signed' | 'unsigned'
  /** dnf: the smaller number wins; default 99 */
  priority: number
  /** names or `name-evr.arch`, as patterns (fnmatch(3)) */
  excludepkgs: string[]
  /** dnf's module_hotfixes: its packages are never masked by a module */
  moduleHotfixes: boolean
  /** entitlement: absolute paths of PEM files of the build host; nothing of them is carried */
  client?: { certificate: string; key: string }
}

export interface RpmRequest {
  at: string
  /** the OS release, and the folder under /rpms: `el9` */
  name: string
  /** what modules require: `platform:el9` */
  platform: string
  repositories: RpmRepository[]
  architectures: string[]
  /** `name:stream[/profile]`; with a profile its packages are requested, too */
  modules: string[]
  /** as dnf takes them: name, name-version-release, name.architecture, `@group`, a path */
  packages: string[]
  /** one of them, for each kernel of the probed machines; `{kernel}` is replaced by `uname -r` */
  kernelPackages: string[]
  /** of the probed machines */
  kernels?: string[]
  /** weak dependencies, too (dnf's install_weak_deps) */
  weak: boolean
  base: BaseSystem
}

const schema = z.strictObject({
  name: nameField,
  /** default: from the name, `platform:el9` */
  platform: z
    .string()
    .regex(/^platform:[a-z0-9.]+$/, 'must be platform:STREAM, for example platform:el9')
    .optional(),
  repositories: z
    .array(
      z.strictObject({
        id: nameField,
        /** one of these; with variables, as dnf has them */
        baseurl: textField.optional(),
        mirrorlist: textField.optional(),
        metalink: textField.optional(),
        /** OpenPGP public keys that sign packages and repomd.xml */
        keys: z.array(textField).min(1),
        /** `unsigned` where the publisher does not sign repomd.xml (EPEL): the signature of each package vouches for it */
        metadata: z.enum(['signed', 'unsigned']).default('signed'),
        /** `unsigned` where the publisher signs only repomd.xml, which has the digest of each package: `gpgcheck=0` on the site */
        packages: z.enum(['signed', 'unsigned']).default('signed'),
        priority: priorityField.default(99),
        excludepkgs: z.array(textField).default([]),
        moduleHotfixes: z.boolean().default(false),
        /** entitlement certificate of the build host (PEM files) */
        client: z.strictObject({ certificate: textField, key: textField }).optional(),
      }),
    )
    .min(1),
  /** for the URLs of repositories, beside $releasever, $basearch and $arch */
  variables: z
    .record(
      z.string().regex(/^[A-Za-z0-9_]+$/, 'must be letters, digits or underscore'),
      z.string().max(1024),
    )
    .default({}),
  architectures: z.array(nameField).min(1).default(['x86_64']),
  /** `nvidia-driver:535-dkms`, with a profile `nodejs:18/development` */
  modules: z.array(textField).default([]),
  packages: z.array(textField).default([]),
  lists: z.array(textField).default([]),
  kernelPackages: z.array(textField).default([]),
  weak: z.boolean().default(false),
  base: baseField.default('none'),
})
type Entry = z.infer<typeof schema>

export const rpmEntry = manifestEntry({
  key: 'rpms',
  schema,
  load,
  starter: `\
# rpms:                                       # the RHEL family: one entry per OS release
#   - name: el9
#     platform: platform:el9                  # default: from the name
#     repositories:
#       - id: baseos
#         baseurl: https://mirror.example/$releasever/BaseOS/$basearch/os   # or mirrorlist:, metalink:
#         keys: [keys/RPM-GPG-KEY-example]    # who signs packages and their list
#         metadata: signed                    # unsigned, where the publisher signs packages only
#         packages: signed                    # unsigned, where the publisher signs their list only
#         priority: 99
#         excludepkgs: [kernel-rt*]
#         moduleHotfixes: false
#         client: {certificate: entitlement.pem, key: entitlement-key.pem}
#     variables: {releasever: "9"}            # this one is from the name by default; others as in /etc/dnf/vars
#     architectures: [x86_64]
#     modules: ["nvidia-driver:535-dkms"]
#     packages: [nfs-utils, "@core"]          # name, name-version-release, name.arch, @group, /a/file
#     lists: [packages.txt]
#     kernelPackages: ["kernel-devel-{kernel}"]
#     weak: false                             # weak dependencies, too
#     base: none                              # as for debs: minimal, server, cloud, {list: FILE}
`,
})

async function load(entries: readonly Entry[], context: LoadContext): Promise<RpmRequest[]> {
  const { at, mistakes } = context
  const requests: RpmRequest[] = []
  for (const [index, entry] of entries.entries()) {
    const lines = await packageLines(context, index, entry)
    const base = await baseOf(context, index, { written: entry.base, command: listCommand })
    if (lines === undefined || base === undefined) continue
    const repositories: RpmRepository[] = []
    entry.repositories.forEach((repository, i) => {
      const own = (key?: string) => at(index, 'repositories', i, ...(key === undefined ? [] : [key]))
      const places = placesOf(repository, { entry, at: own, mistakes })
      // also an id that was made with an architecture: `base-x86_64`
      const isTaken = places.some(({ id }) => repositories.some(other => other.id === id))
      if (isTaken || entry.repositories.findIndex(({ id }) => id === repository.id) !== i)
        mistakes.add(idTwice(own('id')))
      for (const one of places) repositories.push(repositoryOf(repository, { ...one, context }))
      if (repository.metadata === 'unsigned' && repository.packages === 'unsigned')
        mistakes.add(nothingSigned(own('packages')))
    })
    requests.push({
      at: at(index),
      name: entry.name,
      platform: entry.platform ?? platformOf(entry.name),
      repositories,
      architectures: entry.architectures,
      modules: [...entry.modules].sort(compareText),
      packages: distinctTexts(lines),
      kernelPackages: entry.kernelPackages,
      weak: entry.weak,
      base,
    })
  }
  return distinctRequests(requests, { nameOf: rpm => rpm.name, mistakes })
}

function idTwice(at: string): AirgapError {
  return new AirgapError('MANIFEST_INVALID', 'another repository of the entry has the same id', {
    item: at,
    likely: 'the id is the folder of the repository on the site',
    next: 'choose another id',
  })
}

function nothingSigned(at: string): AirgapError {
  return new AirgapError(
    'MANIFEST_INVALID',
    'neither the packages of the repository nor their list are signed',
    {
      item: at,
      likely: 'nothing would show that a server or a proxy replaced a package',
      next: 'list the packages under `files:` with their sha256, or mirror the repository and sign its repomd.xml with a key of yours',
    },
  )
}

const listCommand = "rpm -qa --qf '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\\n'"

function repositoryOf(
  { keys, client, baseurl, mirrorlist, metalink, ...repository }: Entry['repositories'][number],
  { id, place, context }: RepositoryPlace & { context: LoadContext },
): RpmRepository {
  const { folder } = context
  const loaded: RpmRepository = {
    ...repository,
    id,
    ...place,
    keys: keys.map(key => resolve(folder, key)),
    keysAsWritten: keys,
  }
  if (client !== undefined)
    loaded.client = { certificate: resolve(folder, client.certificate), key: resolve(folder, client.key) }
  return loaded
}

/** `el9`, `rocky-9`, `rhel-8.10` → `platform:el9`, `platform:el8` */
function platformOf(name: string): string {
  return `platform:el${/(?<![0-9])([0-9]+)(\.[0-9]+)?$/.exec(name)?.[1] ?? name}`
}
