import type { ComposeRule, OperatorRules, SidecarRule } from './rule.ts'

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

const proxy = (variable: string, name: string): SidecarRule => ({
  annotation: 'azure.workload.identity/inject-proxy-sidecar',
  image: `{env:${variable}|default:${name}}`,
})

export const workloadIdentity: OperatorRules = {
  operator: 'Azure Workload Identity',
  source: 'github.com/Azure/azure-workload-identity v1.2.0 to v1.6.0: pkg/webhook/webhook.go, Makefile',
  program: 'workload-identity/webhook',
  knownTo: '1.6.0',
  defaults: Object.fromEntries(
    ['proxy', 'proxy-init'].map(name => [
      name,
      { '1.2.0': `mcr.microsoft.com/oss/azure/workload-identity/${name}:{program.tag}` },
    ]),
  ),
  sidecars: [proxy('PROXY_IMAGE', 'proxy'), proxy('PROXY_INIT_IMAGE', 'proxy-init')],
}
