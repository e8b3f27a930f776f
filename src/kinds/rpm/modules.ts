import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import { readYamlTexts } from '../../document/yaml-texts.ts'
import type { ModuleDefaults, ModuleStream } from './candidate.ts'
import { malformed } from './strict-xml.ts'

/** modules.yaml: documents of modulemd (version 2), modulemd-defaults (version 1) and others, which are ignored. */

const texts = z.array(z.coerce.string()).catch([])
const streamSchema = z.object({
  data: z.object({
    name: z.coerce.string(),
    stream: z.coerce.string(),
    version: z.coerce.string().default('0'),
    context: z.coerce.string().default(''),
    arch: z.coerce.string().default(''),
    dependencies: z.array(z.object({ requires: z.record(z.string(), texts).default({}) })).default([]),
    profiles: z.record(z.string(), z.object({ rpms: texts.default([]) })).default({}),
    artifacts: z.object({ rpms: texts.default([]) }).default({ rpms: [] }),
  }),
})
const defaultsSchema = z.object({
  data: z.object({
    module: z.coerce.string(),
    stream: z.coerce.string().optional(),
    profiles: z.record(z.string(), texts).default({}),
  }),
})

const maxDocuments = 100_000

export function parseModules(
  text: string,
  { repository, item }: { repository: number; item: string },
): { streams: ModuleStream[]; defaults: ModuleDefaults[] } {
  const streams: ModuleStream[] = []
  const defaults: ModuleDefaults[] = []
  const documents = text.split(/^(?=---(?:\s|$))/m).filter(document => document.trim() !== '')
  if (documents.length > maxDocuments) throw malformed('too many modules', item)
  for (const document of documents) {
    const kind = /^document: *["']?(modulemd[a-z-]*)["']?\s*$/m.exec(document)?.[1]
    if (kind !== 'modulemd' && kind !== 'modulemd-stream' && kind !== 'modulemd-defaults') continue
    const value = yamlOf(document, item)
    if (kind === 'modulemd-defaults') {
      const { data } = parsed(defaultsSchema, { value, item })
      defaults.push({
        name: data.module,
        ...defined({ stream: data.stream }),
        profiles: new Map(Object.entries(data.profiles)),
        repository,
        document,
      })
      continue
    }
    const { data } = parsed(streamSchema, { value, item })
    streams.push({
      name: data.name,
      stream: data.stream,
      version: data.version,
      context: data.context,
      architecture: data.arch,
      repository,
      requires: data.dependencies.map(({ requires }) => new Map(Object.entries(requires))),
      artifacts: data.artifacts.rpms,
      profiles: new Map(Object.entries(data.profiles).map(([name, { rpms }]) => [name, rpms])),
      document,
    })
  }
  return { streams, defaults }
}

/** Scalars stay text: the stream `1.10` is not a number. */
function yamlOf(document: string, item: string): unknown {
  try {
    return readYamlTexts(document, { duplicates: 'last', nulls: 'text' })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'it cannot be read'
    throw malformed(`modules.yaml: ${why}`, item, cause)
  }
}

function parsed<T extends z.ZodType>(
  schema: T,
  { value, item }: { value: unknown; item: string },
): z.infer<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw malformed(
    `modules.yaml: ${result.error.issues[0]?.path.join('.')}: ${result.error.issues[0]?.message}`,
    item,
  )
}
