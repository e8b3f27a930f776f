import { eventing } from './knative-eventing.ts'
import { serving } from './knative-serving.ts'
import type { ComposeRule, Defaults, OperatorRules } from './rule.ts'

interface Manifests {
  programs: readonly string[]
  digests: Readonly<Record<string, readonly string[]>>
}

const nameOf = (product: string, program: string) => `${product}-${program.replaceAll('/', '-')}`

/** `serving-serving-cmd-activator-1.20.0`: what the operator installs for that version, whatever its own version is. */
const imagesOf = (product: string, { programs, digests }: Manifests): Record<string, Defaults> =>
  Object.fromEntries(
    Object.entries(digests).flatMap(([version, row]) =>
      programs.map((program, i) => [
        `${nameOf(product, program)}-${version}`,
        { '0.0.0': `gcr.io/knative-releases/knative.dev/${program}@sha256:${row[i]}` },
      ]),
    ),
  )

const group = 'operator.knative.dev'
const other = ['spec.registry.default', 'spec.manifests']

const composes = (kind: string, { programs, product }: { programs: readonly string[]; product: string }) =>
  programs.flatMap((program): ComposeRule[] => [
    {
      kind,
      group,
      unless: ['spec.version', ...other],
      image: `{default:${nameOf(product, program)}-[default:${product}]}`,
    },
    {
      kind,
      group,
      when: 'spec.version',
      unless: other,
      image: `{default:${nameOf(product, program)}-[spec.version]}`,
    },
  ])

const replaced = (kind: string) => other.map(when => ({ kind, group, when }))

export const knative: OperatorRules = {
  operator: 'Knative operator',
  source: 'github.com/knative/operator knative-v1.20.0 to knative-v1.23.0: cmd/operator/kodata',
  program: ['knative.dev/operator/cmd/operator', 'operator/cmd/operator', 'knative-operator'],
  knownTo: '1.23.0',
  defaults: {
    ...imagesOf('serving', serving),
    ...imagesOf('eventing', eventing),
    serving: serving.preset,
    eventing: eventing.preset,
  },
  composes: [
    ...composes('KnativeServing', { programs: serving.programs, product: 'serving' }),
    ...composes('KnativeEventing', { programs: eventing.programs, product: 'eventing' }),
  ],
  unseen: [
    // of the ingress
    { kind: 'KnativeServing', group },
    ...replaced('KnativeEventing'),
  ],
}
