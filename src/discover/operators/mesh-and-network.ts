import type { OperatorRules } from './rule.ts'

export const istio: OperatorRules = {
  operator: 'Istio',
  source: 'istio/istio 1.28: manifests/charts/istio-control/istio-discovery/files, pkg/kube/inject',
  injected: [{ image: 'auto', knownBy: 'proxyv2' }],
  unseen: [
    { kind: 'IstioOperator', group: 'install.istio.io' },
    { kind: 'Istio', group: 'sailoperator.io' },
    { kind: 'IstioCNI', group: 'sailoperator.io' },
    { kind: 'ZTunnel', group: 'sailoperator.io' },
  ],
}

export const network: OperatorRules = {
  operator: 'operators for networks and virtual machines',
  source: 'the defaults of each operator, compiled in or in its variables',
  unseen: [
    { kind: 'CDI', group: 'cdi.kubevirt.io', knownBy: 'IMPORTER_IMAGE' },
    { kind: 'KnativeServing', group: 'operator.knative.dev' },
    { kind: 'KnativeEventing', group: 'operator.knative.dev' },
    { kind: 'TektonConfig', group: 'operator.tekton.dev' },
  ],
}
