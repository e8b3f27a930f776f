import type { ComposeRule, OperatorRules } from './rule.ts'

export const istio: OperatorRules = {
  operator: 'Istio',
  source: 'istio/istio 1.28: manifests/charts/istio-control/istio-discovery/files, pkg/kube/inject',
  injected: [{ image: 'auto', knownBy: 'proxyv2' }],
  unseen: [{ kind: 'IstioOperator', group: 'install.istio.io' }],
}

const sailImage = (kind: string, image: string): ComposeRule => ({
  kind,
  group: 'sailoperator.io',
  image: `{setting:images.[spec.version:_].${image}}`,
})

export const sail: OperatorRules = {
  operator: 'Sail operator',
  source:
    'github.com/istio-ecosystem/sail-operator 1.28 to 1.31: chart/templates/deployment.yaml, pkg/config',
  catalogues: [/^images\.v[0-9][0-9A-Za-z_-]*\.[a-z]+$/],
  composes: [
    sailImage('Istio', 'istiod'),
    sailImage('Istio', 'proxy'),
    sailImage('IstioCNI', 'cni'),
    sailImage('ZTunnel', 'ztunnel'),
  ],
}

export const network: OperatorRules = {
  operator: 'operators for networks and virtual machines',
  source: 'the defaults of each operator, compiled in or in its variables',
  unseen: [
    { kind: 'CDI', group: 'cdi.kubevirt.io', knownBy: 'IMPORTER_IMAGE' },
    { kind: 'TektonConfig', group: 'operator.tekton.dev' },
  ],
}
