import { columns } from './columns.ts'
import type { ComposeRule, OperatorRules } from './rule.ts'

interface KarmadaPart {
  path: string
  image: string
  tag: string
  unless?: string[]
}

const karmadaPart = ({ path, image, tag, unless = [] }: KarmadaPart): ComposeRule => ({
  kind: 'Karmada',
  group: 'operator.karmada.io',
  unless: ['spec.privateRegistry.registry', ...unless],
  image: `{spec.components.${path}.imageRepository|${image}}:{spec.components.${path}.imageTag|${tag}}`,
})

const own = (path: string, name: string) =>
  karmadaPart({ path, image: `docker.io/karmada/karmada-${name}`, tag: 'program.tag' })

export const karmada: OperatorRules = {
  operator: 'Karmada operator',
  source:
    'github.com/karmada-io/karmada v1.8.0 to v1.18.2: operator/pkg/apis/operator/v1alpha1/defaults.go, operator/pkg/constants/constants.go',
  program: 'karmada/karmada-operator',
  knownTo: '1.18.2',
  defaults: columns(['etcd', 'kubernetes'], {
    '1.8.0': '3.5.9-0 v1.25.4',
    '1.9.0': '3.5.9-0 v1.26.12',
    '1.10.0': '3.5.13-0 v1.27.11',
    '1.11.0': '3.5.13-0 v1.29.6',
    '1.12.0': '3.5.16-0 v1.31.3',
    '1.16.0': '3.6.0-0 v1.34.1',
    '1.17.0': '3.6.6-0 v1.35.2',
  }),
  composes: [
    karmadaPart({
      path: 'etcd.local',
      image: 'registry.k8s.io/etcd',
      tag: 'default:etcd',
      unless: ['spec.components.etcd.external'],
    }),
    karmadaPart({
      path: 'karmadaAPIServer',
      image: 'registry.k8s.io/kube-apiserver',
      tag: 'default:kubernetes',
    }),
    karmadaPart({
      path: 'kubeControllerManager',
      image: 'registry.k8s.io/kube-controller-manager',
      tag: 'default:kubernetes',
    }),
    own('karmadaAggregatedAPIServer', 'aggregated-apiserver'),
    own('karmadaControllerManager', 'controller-manager'),
    own('karmadaScheduler', 'scheduler'),
    own('karmadaWebhook', 'webhook'),
    own('karmadaMetricsAdapter', 'metrics-adapter'),
    own('karmadaSearch', 'search'),
  ],
  unseen: [{ kind: 'Karmada', group: 'operator.karmada.io', when: 'spec.privateRegistry.registry' }],
}

const tenant = 'TenantControlPlane'
const kamajiGroup = 'kamaji.clastix.io'

const controlPlane = (key: string, image: string): ComposeRule => ({
  kind: tenant,
  group: kamajiGroup,
  image: `{spec.controlPlane.deployment.registrySettings.registry|registry.k8s.io}/{spec.controlPlane.deployment.registrySettings.${key}|${image}}:{spec.kubernetes.version}{spec.controlPlane.deployment.registrySettings.tagSuffix|}`,
})

export const kamaji: OperatorRules = {
  operator: 'Kamaji',
  source:
    'github.com/clastix/kamaji 26.8.2-edge: api/v1alpha1/tenantcontrolplane_types.go, cmd/manager/cmd.go',
  composes: [
    controlPlane('apiServerImage', 'kube-apiserver'),
    controlPlane('controllerManagerImage', 'kube-controller-manager'),
    controlPlane('schedulerImage', 'kube-scheduler'),
    {
      kind: tenant,
      group: kamajiGroup,
      when: 'spec.addons.kubeProxy',
      image:
        '{spec.addons.kubeProxy.imageRepository|registry.k8s.io}/kube-proxy:{spec.addons.kubeProxy.imageTag|spec.kubernetes.version}',
    },
  ],
  unseen: [
    { kind: tenant, group: kamajiGroup, when: 'spec.addons.coreDNS' },
    { kind: tenant, group: kamajiGroup, when: 'spec.addons.konnectivity' },
  ],
}

const druidFolder = 'europe-docker.pkg.dev/gardener-project/public/gardener'

const etcdPart = (path: string, name: string): ComposeRule => ({
  kind: 'Etcd',
  group: 'druid.gardener.cloud',
  unless: [`spec.${path}.image`],
  image: `${druidFolder}/${name}:{default:${name}}`,
})

export const etcdDruid: OperatorRules = {
  operator: 'etcd-druid',
  source: 'github.com/gardener/etcd-druid v0.25.0 to v0.37.1: internal/images/images.yaml',
  program: 'gardener/etcd-druid',
  // newer ones choose by a feature gate
  knownTo: '0.35.3',
  defaults: columns(['etcd-wrapper', 'etcdbrctl'], {
    '0.25.0': 'v0.3.0 v0.32.0',
    '0.26.0': 'v0.4.0 v0.33.0',
    '0.27.0': 'v0.4.1 v0.34.0',
    '0.28.0': 'v0.4.2 v0.35.0',
    '0.29.0': 'v0.4.4 v0.35.1',
    '0.29.1': 'v0.4.4 v0.35.2',
    '0.30.0': 'v0.5.0 v0.36.3',
    '0.30.1': 'v0.5.1 v0.36.3',
    '0.31.0': 'v0.5.2 v0.37.0',
    '0.32.0': 'v0.5.2 v0.38.0',
    '0.33.0': 'v0.5.2 v0.39.0',
    '0.34.0': 'v0.6.0 v0.40.0',
    '0.35.0': 'v0.6.1 v0.41.0',
    '0.35.1': 'v0.6.2 v0.41.1',
  }),
  composes: [etcdPart('etcd', 'etcd-wrapper'), etcdPart('backup', 'etcdbrctl')],
}

export const etcdOperator: OperatorRules = {
  operator: 'etcd operator',
  source: 'github.com/etcd-io/etcd-operator: internal/controller/utils.go',
  composes: [
    {
      kind: 'EtcdCluster',
      group: 'operator.etcd.io',
      unless: ['spec.image'],
      image: '{spec.imageRegistry|flag:--image-registry|gcr.io/etcd-development/etcd}:{spec.version}',
    },
  ],
}

const submarinerPart = (component: string, name: string, when = 'spec.version'): ComposeRule => ({
  kind: 'Submariner',
  group: 'submariner.io',
  when,
  unless: [`spec.imageOverrides.${component}`],
  image: `{spec.repository|quay.io/submariner}/${name}:{spec.version}`,
})

export const submariner: OperatorRules = {
  operator: 'Submariner operator',
  source: 'github.com/submariner-io/submariner-operator v0.19: pkg/images/images.go, pkg/names/names.go',
  composes: [
    submarinerPart('submariner-gateway', 'submariner-gateway'),
    submarinerPart('submariner-routeagent', 'submariner-route-agent'),
    submarinerPart('submariner-metrics-proxy', 'nettest'),
    submarinerPart('submariner-globalnet', 'submariner-globalnet', 'spec.globalCIDR'),
    submarinerPart('submariner-lighthouse-agent', 'lighthouse-agent', 'spec.serviceDiscoveryEnabled'),
    submarinerPart('submariner-lighthouse-coredns', 'lighthouse-coredns', 'spec.serviceDiscoveryEnabled'),
  ],
}

const coreDns = {
  '1.30': '1.11.3',
  '1.31': '1.11.3',
  '1.32': '1.11.3',
  '1.33': '1.12.0',
  '1.34': '1.12.1',
  '1.35': '1.14.1',
  '1.36': '1.14.2',
}

export const vCluster: OperatorRules = {
  operator: 'vCluster',
  source: 'github.com/loft-sh/vcluster v0.21.0 to v0.36.1: pkg/constants/coredns.go, pkg/coredns/coredns.go',
  program: ['loft-sh/vcluster', 'loft-sh/vcluster-pro', 'loft-sh/vcluster-oss'],
  knownTo: '0.36.1',
  defaults: Object.fromEntries(
    Object.entries(coreDns).map(([version, tag]) => [
      `coredns-${version}`,
      { '0.21.0': `docker.io/coredns/coredns:${tag}` },
    ]),
  ),
  // by the version of its virtual control plane
  starts: [{ image: '{default:coredns-[minor:loft-sh/kubernetes]}' }],
}

const capi = (kind: string) => ({ kind, group: 'operator.cluster.x-k8s.io' })

export const remoteManifests: OperatorRules = {
  operator: 'operators that fetch manifests or lists of images when they run',
  source:
    'kubernetes-sigs/cluster-api-operator, libopenstorage/operator, pixie-io/pixie, gitlab-org/cloud-native/gitlab-operator',
  unseen: [
    capi('CoreProvider'),
    capi('BootstrapProvider'),
    capi('ControlPlaneProvider'),
    capi('InfrastructureProvider'),
    capi('AddonProvider'),
    capi('IPAMProvider'),
    { kind: 'StorageCluster', group: 'core.libopenstorage.org' },
    { kind: 'Vizier', group: 'px.dev' },
    { kind: 'GitLab', group: 'apps.gitlab.com' },
    { kind: 'SpinnakerService', group: 'spinnaker.io' },
    { kind: 'DatabaseCluster', group: 'everest.percona.com' },
    {
      kind: 'RedisEnterpriseCluster',
      group: 'app.redislabs.com',
      unless: ['spec.redisEnterpriseImageSpec.versionTag'],
    },
  ],
}

/** It installs its own charts: of webhooks, of Fleet. Its release has a list, rancher-images.txt. */
export const rancher: OperatorRules = {
  operator: 'Rancher',
  source: 'github.com/rancher/rancher: pkg/controllers/dashboard/systemcharts',
  program: 'rancher/rancher',
  starts: [{}],
}
