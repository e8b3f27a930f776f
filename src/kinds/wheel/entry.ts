import { resolve } from 'node:path'
import { z } from 'zod'
import { distinctRequests } from '../../document/distinct.ts'
import { httpUrlField, nameField, textField } from '../../document/fields.ts'
import { publicBaseUrl } from '../../document/urls.ts'
import { type LoadContext, manifestEntry } from '../entry.ts'
import { nothingRequested } from '../package-entry.ts'
import type { IndexSource } from './index-sources.ts'
import { normalizeProject } from './requirement.ts'
import { type RequirementLine, readRequirements, requirementLine } from './requirements-file.ts'

export interface WheelRequest {
  at: string
  name: string
  /** a project is taken from the first that may provide it and has it */
  indexes: IndexSource[]
  requirements: RequirementLine[]
  constraints: RequirementLine[]
  pythons: string[]
  platforms: string[]
  sdists: string[]
  prereleases: boolean
  /** a requirements file has `--require-hashes` */
  requireHashes?: true
}

const indexField = z.union([
  httpUrlField,
  z.strictObject({
    url: httpUrlField,
    /** projects that come from this index only, and for which alone it is queried */
    projects: z
      .array(z.string().regex(/^[A-Za-z0-9._*?-]+$/, 'must be a project name, which may contain * and ?'))
      .min(1),
  }),
])

const schema = z.strictObject({
  name: nameField,
  indexes: z.array(indexField).min(1).default(['https://pypi.org/simple/']),
  /** requirement specifiers: `ansible==8.5.0` */
  packages: z.array(textField).default([]),
  /** requirements files */
  requirements: z.array(textField).default([]),
  constraints: z.array(textField).default([]),
  pythons: z.array(z.string().regex(/^3\.[0-9]{1,2}$/, "must be a version such as '3.11', in quotes")).min(1),
  platforms: z
    .array(z.string().regex(/^[a-z0-9_]+$/, 'must be a platform tag such as manylinux_2_28_x86_64'))
    .min(1)
    .default(['manylinux_2_28_x86_64']),
  /** projects whose source may be carried where there is no wheel; `*` for all */
  sdists: z.array(textField).default([]),
  prereleases: z.boolean().default(false),
})

export const wheelEntry = manifestEntry({
  key: 'wheels',
  schema,
  load,
  starter: `\
# wheels:                                     # Python: one index for the site, for these Pythons and platforms
#   - name: tools
#     indexes: ["https://pypi.org/simple/"]
#     # a second index, for these projects alone; they come from nowhere else:
#     #   - {url: "https://pypi.example.org/simple/", projects: ["acme-*"]}
#     packages: ["ansible==8.5.0"]            # or a file: "name @ https://host/name-1.0-py3-none-any.whl#sha256=…"
#     requirements: [requirements.txt]
#     constraints: [constraints.txt]
#     pythons: ["3.11"]
#     platforms: [manylinux_2_28_x86_64]      # the newest glibc that the machines have
#     sdists: [pbr]                           # projects whose source may be carried where there is no wheel
#     prereleases: false
`,
})

async function load(
  entries: readonly z.infer<typeof schema>[],
  { at, folder, mistakes }: LoadContext,
): Promise<WheelRequest[]> {
  const requests: WheelRequest[] = []
  for (const [index, entry] of entries.entries()) {
    const place = at(index)
    const indexes = entry.indexes.map((written): IndexSource => {
      if (typeof written === 'string') return { url: written }
      return { url: written.url, projects: written.projects.map(normalizeProject) }
    })
    indexes.forEach(({ url }, i) => {
      mistakes.attempt(() => publicBaseUrl(url, at(index, 'indexes', i)))
    })
    const requirements: RequirementLine[] = []
    const constraints: RequirementLine[] = []
    let requireHashes = false
    let isComplete = true
    const from = { namedAt: place, indexes: indexes.map(({ url }) => url) }
    entry.packages.forEach((text, i) => {
      const line = mistakes.attempt(() => requirementLine({ text, at: at(index, 'packages', i) }))
      if (line === undefined) isComplete = false
      else requirements.push(line)
    })
    for (const file of entry.requirements) {
      const read = await mistakes.attemptLater(() => readRequirements(resolve(folder, file), from))
      isComplete &&= read !== undefined
      requirements.push(...(read?.requirements ?? []))
      constraints.push(...(read?.constraints ?? []))
      requireHashes ||= read?.requireHashes === true
    }
    for (const file of entry.constraints) {
      const read = await mistakes.attemptLater(() => readRequirements(resolve(folder, file), from))
      constraints.push(...(read?.requirements ?? []), ...(read?.constraints ?? []))
    }
    if (isComplete && requirements.length === 0)
      mistakes.add(nothingRequested(place, 'packages:` or `requirements:'))
    requests.push({
      at: place,
      name: entry.name,
      indexes,
      requirements,
      constraints,
      pythons: entry.pythons,
      platforms: entry.platforms,
      sdists: entry.sdists,
      prereleases: entry.prereleases,
      ...(requireHashes ? { requireHashes: true as const } : {}),
    })
  }
  return distinctRequests(requests, { nameOf: wheel => wheel.name, mistakes })
}
