import { Range } from 'semver'
import { z } from 'zod'

/** manifests/compatibility.yaml: which versions are compatible, as data. */

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'must consist of lower-case letters, digits, dots and dashes')
const text = z.string().min(1).max(500)
const range = z.string().refine(isRange, 'must be a version range such as >=1.29.0')

function isRange(written: string): boolean {
  try {
    return new Range(written).range !== undefined
  } catch {
    return false
  }
}

const componentSchema = z.strictObject({
  title: text,
  /** host/repository of an image whose tag is the version */
  image: text.optional(),
  chart: text.optional(),
  /** project of a Python distribution */
  wheel: text.optional(),
  /** names of OS packages whose version it is, with `*` */
  packages: z.array(text).optional(),
})

const ruleSchema = z.strictObject({
  id: name,
  /** the rule applies if the versions of all these components are in their ranges */
  when: z.record(name, range),
  needs: z.record(name, range),
  why: text,
  /** who published this requirement */
  source: text,
})
export type Rule = z.infer<typeof ruleSchema>

export const compatibilitySchema = z
  .strictObject({
    apiVersion: z.literal('airgap/v1'),
    components: z.record(name, componentSchema),
    rules: z.array(ruleSchema),
    upgrade: z.strictObject({
      order: z.array(name).min(1),
      oneMinorAtATime: z.array(name).default([]),
      backupFirst: z.boolean(),
      source: text,
    }),
  })
  .superRefine(({ components, rules }, { addIssue }) => {
    for (const [i, rule] of rules.entries()) {
      for (const part of ['when', 'needs'] as const) {
        for (const component of Object.keys(rule[part])) {
          if (Object.hasOwn(components, component)) continue
          addIssue({
            code: 'custom',
            path: ['rules', i, part, component],
            message: `unknown component ${component}`,
          })
        }
      }
    }
  })
export type Compatibility = z.infer<typeof compatibilitySchema>
