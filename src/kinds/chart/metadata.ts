import { z } from 'zod'
import { readYamlTexts } from '../../document/yaml-texts.ts'

/** Chart.yaml (helm.sh/docs/topics/charts), with the fields and types of helm's own struct; unknown fields are dropped. */

/** All scalars arrive as text; an empty one and null count as absent, as in Go. */
const text = z
  .string()
  .nullable()
  .transform(value => value ?? '')
const optionalText = z
  .string()
  .nullish()
  .transform(value => value || undefined)
/** The booleans of YAML 1.1, which Go's reader knows. */
const flag = z
  .string()
  .regex(/^(?:true|false|yes|no|on|off|y|n|)$/i, 'must be true or false')
  .nullish()
  .transform(value => /^(?:true|yes|on|y)$/i.test(value ?? '') || undefined)
const list = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .nullish()
    .transform(value => value ?? undefined)

const dependencySchema = z.object({
  name: text.default(''),
  version: optionalText,
  repository: z
    .string()
    .nullish()
    .transform(value => value ?? undefined),
  condition: optionalText,
  tags: list(text),
  enabled: flag,
  'import-values': list(z.json()),
  alias: optionalText,
})
const dependencies = list(dependencySchema)

const metadataSchema = z.object({
  name: z.string().min(1),
  home: optionalText,
  sources: list(text),
  version: z.string().min(1),
  description: optionalText,
  keywords: list(text),
  maintainers: list(z.object({ name: optionalText, email: optionalText, url: optionalText })),
  icon: optionalText,
  apiVersion: optionalText,
  condition: optionalText,
  tags: optionalText,
  appVersion: optionalText,
  deprecated: flag,
  annotations: z
    .record(z.string(), text)
    .nullish()
    .transform(value => value ?? undefined),
  kubeVersion: optionalText,
  dependencies,
  type: optionalText,
})
export type ChartMetadata = z.infer<typeof metadataSchema>

/** Charts of apiVersion v1 have their dependencies in a separate file. */
const requirementsSchema = z.object({ dependencies }).nullish()

/** Throws an Error or a ZodError: the caller knows which file it is. */
export function parseChartYaml(source: string): ChartMetadata {
  return metadataSchema.parse(readYamlTexts(source, { duplicates: 'last' }))
}

/** Names of the subcharts in requirements.yaml; undefined where it lists none and those of Chart.yaml count. */
export function parseRequirements(source: string): string[] | undefined {
  const parsed = requirementsSchema.parse(readYamlTexts(source, { duplicates: 'last' }))
  return parsed?.dependencies?.map(({ name }) => name)
}

/** The name in the Chart.yaml of a subchart; undefined where it has none. */
export function parseChartName(source: string): string | undefined {
  const parsed = z
    .looseObject({ name: z.string().min(1) })
    .safeParse(readYamlTexts(source, { duplicates: 'last' }))
  return parsed.success ? parsed.data.name : undefined
}
