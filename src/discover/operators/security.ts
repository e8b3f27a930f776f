import type { ComposeRule, OperatorRules } from './rule.ts'

const armor = (field: string, image: string): ComposeRule => ({
  kind: 'KubeArmorConfig',
  group: 'operator.kubearmor.com',
  unless: [`spec.${field}.image`],
  image: `{default:${image}}`,
})

const folder = { '1.3.0': '', '1.6.4': 'docker.io/' }
const inFolder = (image: string) =>
  Object.fromEntries(Object.entries(folder).map(([version, path]) => [version, `${path}kubearmor/${image}`]))

export const kubeArmor: OperatorRules = {
  operator: 'KubeArmor operator',
  source: 'github.com/kubearmor/KubeArmor v1.3.0 to v1.7.4: pkg/KubeArmorOperator/common/defaults.go',
  program: 'kubearmor/kubearmor-operator',
  knownTo: '1.7.4',
  defaults: {
    kubearmor: inFolder('kubearmor:stable'),
    init: inFolder('kubearmor-init:stable'),
    relay: inFolder('kubearmor-relay-server:latest'),
    controller: inFolder('kubearmor-controller:latest'),
    snitch: inFolder('kubearmor-snitch:{program.tag}'),
  },
  composes: [
    armor('kubearmorImage', 'kubearmor'),
    armor('kubearmorInitImage', 'init'),
    armor('kubearmorRelayImage', 'relay'),
    armor('kubearmorControllerImage', 'controller'),
    { kind: 'KubeArmorConfig', group: 'operator.kubearmor.com', image: '{default:snitch}' },
  ],
}
