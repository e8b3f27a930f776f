import { parseDocument } from 'yaml'
import { z } from 'zod'
import { yamlFaults } from '../../document/yaml-faults.ts'

/** Chart.yaml (helm.sh/docs/topics/charts), with the fields and types of helm's own struct; unknown fields are dropped. */

/** All scalars arrive as text; an empty one counts as absent. */
const text = z.string()
const optionalText = text.transform(value => value || undefined).optional()
const flag = z
  .string()
  .regex(/^(true|false|True|False|TRUE|FALSE|)$/, 'must be true or false')
  .transform(value => value.toLowerCase() === 'true' || undefined)
  .optional()
/** `key:` without a value arrives as empty text */
const list = <T extends z.ZodType>(item: T) =>
  z.union([z.literal('').transform(() => undefined), z.array(item)]).optional()

const dependencySchema = z.object({
  name: text.min(1),
  version: optionalText,
  repository: text.optional(),
  condition: optionalText,
  tags: list(text),
  enabled: flag,
  'import-values': list(z.union([text, z.record(z.string(), text)])),
  alias: optionalText,
})
const dependencies = list(dependencySchema)

const metadataSchema = z.object({
  name: text.min(1),
  home: optionalText,
  sources: list(text),
  version: text.min(1),
  description: optionalText,
  keywords: list(text),
  maintainers: list(z.object({ name: optionalText, email: optionalText, url: optionalText })),
  icon: optionalText,
  apiVersion: optionalText,
  condition: optionalText,
  tags: optionalText,
  appVersion: optionalText,
  deprecated: flag,
  annotations: z.union([z.literal('').transform(() => undefined), z.record(z.string(), text)]).optional(),
  kubeVersion: optionalText,
  dependencies,
  type: optionalText,
})
export type ChartMetadata = z.infer<typeof metadataSchema>

/** Charts of apiVersion v1 have their dependencies in a separate file. */
const requirementsSchema = z.object({ dependencies })

/** Throws what `yaml` and `zod` throw: the caller knows which file it is. */
export function parseChartYaml(source: string): ChartMetadata {
  return metadataSchema.parse(parseTexts(source))
}

/** Names of the subcharts in requirements.yaml. */
export function parseRequirements(source: string): string[] {
  return (requirementsSchema.parse(parseTexts(source)).dependencies ?? []).map(({ name }) => name)
}

/** YAML with every scalar as written; no tags, bounded aliases, no duplicate keys (fault 59). */
export function parseTexts(source: string): unknown {
  const document = parseDocument(source, {
    schema: 'failsafe',
    resolveKnownTags: false,
    merge: true,
    // yamlFaults finds these in less time
    uniqueKeys: false,
    logLevel: 'error',
  })
  const [error] = document.errors
  if (error) throw error
  const [fault] = yamlFaults(document)
  if (fault) throw new Error(fault.what)
  return document.toJS({ maxAliasCount: 100 })
}
