import type { ComposeRule, OperatorRules } from './rule.ts'

const argoCdPart = (name: string, more: Partial<ComposeRule> = {}): ComposeRule => ({
  kind: 'ArgoCD',
  group: 'argoproj.io',
  ...more,
  image: `{env:ARGOCD_${name.toUpperCase()}|default:${name}}`,
})

export const argoCd: OperatorRules = {
  operator: 'Argo CD operator',
  source: 'github.com/argoproj-labs/argocd-operator v0.13.0 to v0.18.0: common/defaults.go',
  program: 'argocd-operator',
  knownTo: '0.18.0',
  defaults: {
    image: {
      '0.13.0':
        'quay.io/argoproj/argocd@sha256:19608c266cc41e4986d9b1c2b79ea4c42bb9430269eefc5005e9d65be4d22868',
      '0.14.0':
        'quay.io/argoproj/argocd@sha256:bf7ad407274f0e860ca7baefc37af19a31cc13da2f770180a1df2319da32d345',
      '0.15.0':
        'quay.io/argoproj/argocd@sha256:bbdb994007855fed9adfbef31cd58c49f867e652c0e16654bf6579ff037e13e2',
      '0.16.0':
        'quay.io/argoproj/argocd@sha256:2815b045273dc14b271c40d01a75ae2efa88613c90300e778d5ad5171e2b0f7f',
      '0.17.0':
        'quay.io/argoproj/argocd@sha256:db23e2148b3d8ebc7683707da6d0b0c376d194890691222cba5d164776ea8980',
      '0.18.0':
        'quay.io/argoproj/argocd@sha256:05d68bf224df7cd39713012c19226a33c374f2f3bd65df7b9088349e4ac3e6a2',
    },
    dex_image: {
      '0.13.0': 'ghcr.io/dexidp/dex@sha256:d5f887574312f606c61e7e188cfb11ddb33ff3bf4bd9f06e6b1458efca75f604',
      '0.16.0': 'ghcr.io/dexidp/dex@sha256:b08a58c9731c693b8db02154d7afda798e1888dc76db30d34c4a0d0b8a26d913',
    },
    redis_image: {
      '0.13.0': 'redis@sha256:8061ca607db2a0c80010aeb5fc9bed0253448bc68711eaa14253a392f6c48280',
      '0.16.0':
        'public.ecr.aws/docker/library/redis@sha256:ddd16a9b1575a774c7e62956be8daa1de5b32cfb5c25b7a216aefed8e0919f9b',
      '0.17.0':
        'public.ecr.aws/docker/library/redis@sha256:1a34bdba051ecd8a58ec8a3cc460acef697a1605e918149cc53d920673c1a0a7',
      '0.18.0':
        'public.ecr.aws/docker/library/redis@sha256:08ad0b1d280850169a790dba1393ff7a90aef951fc19632cf4d3ce4f78e679ba',
    },
  },
  composes: [
    argoCdPart('image', { unless: ['spec.image', 'spec.version'] }),
    argoCdPart('redis_image', {
      unless: ['spec.redis.image', 'spec.redis.version', 'spec.redis.enabled=false', 'spec.redis.remote'],
    }),
    argoCdPart('dex_image', {
      when: 'spec.sso.provider=dex',
      unless: ['spec.sso.dex.image', 'spec.sso.dex.version'],
    }),
  ],
}

export const kiali: OperatorRules = {
  operator: 'Kiali operator',
  source: 'github.com/kiali/kiali-operator v2.27: playbooks/kiali-default-supported-images.yml',
  program: 'kiali/kiali-operator',
  composes: [
    ...[
      { unless: ['spec.version', 'spec.deployment.image_version'], tag: '{program.tag}' },
      {
        when: 'spec.version=default',
        unless: ['spec.deployment.image_version'],
        tag: '{program.tag}',
      },
      { when: 'spec.deployment.image_version=operator_version', tag: '{program.tag}' },
      {
        when: 'spec.version',
        unless: ['spec.version=default', 'spec.deployment.image_version'],
        tag: '{spec.version}',
      },
      {
        when: 'spec.deployment.image_version',
        unless: ['spec.deployment.image_version=operator_version'],
        tag: '{spec.deployment.image_version}',
      },
    ].map(
      ({ tag, ...conditions }): ComposeRule => ({
        kind: 'Kiali',
        group: 'kiali.io',
        ...conditions,
        image: `{spec.deployment.image_name|quay.io/kiali/kiali}:${tag}`,
      }),
    ),
  ],
}

const jaegerPart = (name: string, more: Partial<ComposeRule>): ComposeRule => ({
  kind: 'Jaeger',
  group: 'jaegertracing.io',
  ...more,
  image: `{flag:--jaeger-${name}-image|env:RELATED_IMAGE_JAEGER_${name.toUpperCase().replaceAll('-', '_')}|jaegertracing/${name === 'all-in-one' ? name : `jaeger-${name}`}}:{program.version}`,
})

const jaegerStores = ['production', 'streaming', 'Production', 'Streaming']

export const jaeger: OperatorRules = {
  operator: 'Jaeger operator',
  source: 'github.com/jaegertracing/jaeger-operator v1.51.0 to v1.65.0: versions.txt, pkg/cmd/start/main.go',
  program: 'jaegertracing/jaeger-operator',
  composes: [
    jaegerPart('all-in-one', {
      unless: ['spec.allInOne.image', ...jaegerStores.map(strategy => `spec.strategy=${strategy}`)],
    }),
    ...jaegerStores.flatMap(strategy =>
      (['collector', 'query'] as const).map(name =>
        jaegerPart(name, { when: `spec.strategy=${strategy}`, unless: [`spec.${name}.image`] }),
      ),
    ),
    ...jaegerStores
      .filter(strategy => /streaming/i.test(strategy))
      .map(strategy =>
        jaegerPart('ingester', { when: `spec.strategy=${strategy}`, unless: ['spec.ingester.image'] }),
      ),
  ],
}

const bankVaults = (image: string, path: string, more: Partial<ComposeRule> = {}): ComposeRule => ({
  kind: 'Vault',
  group: 'vault.banzaicloud.com',
  ...more,
  unless: [`spec.${path}`, ...(more.unless ?? [])],
  image,
})

export const vaultOperator: OperatorRules = {
  operator: 'Vault operator',
  source: 'github.com/bank-vaults/vault-operator v1.21.0 to v1.24.0: pkg/apis/vault/v1alpha1/vault_types.go',
  program: 'vault-operator',
  knownTo: '1.24.0',
  defaults: {
    bankVaults: { '1.21.0': 'ghcr.io/bank-vaults/bank-vaults:latest' },
    statsd: { '1.21.0': 'prom/statsd-exporter:latest' },
  },
  composes: [
    bankVaults('{env:BANK_VAULTS_IMAGE|default:bankVaults}', 'bankVaultsImage'),
    bankVaults('{default:statsd}', 'statsdImage', { unless: ['spec.statsdDisabled'] }),
  ],
}

export const trident: OperatorRules = {
  operator: 'Trident operator',
  source:
    'github.com/NetApp/trident v25.06.0 to v26.06.0: config/config.go, cli/k8s_client/yaml_factory.go, operator/controllers/orchestrator/installer',
  program: 'netapp/trident-operator',
  knownTo: '26.06.0',
  defaults: {
    trident: { '25.06.0': 'docker.io/netapp/trident:{program.version}' },
    autosupport: {
      '25.06.0': 'docker.io/netapp/trident-autosupport:25.06',
      '25.10.0': 'docker.io/netapp/trident-autosupport:25.10',
      '26.02.0': 'docker.io/netapp/trident-autosupport:26.02',
      '26.06.0': 'docker.io/netapp/trident-autosupport:26.06',
    },
    attacher: { '25.06.0': 'v4.8.1', '25.10.0': 'v4.10.0', '26.02.1': 'v4.11.0' },
    provisioner: {
      '25.06.0': 'v5.2.0',
      '25.10.0': 'v5.3.0',
      '26.02.0': 'v6.1.0',
      '26.02.1': 'v6.2.0',
      '26.06.0': 'v6.3.0',
    },
    resizer: { '25.06.0': 'v1.13.2', '25.10.0': 'v1.14.0', '26.02.0': 'v2.0.0', '26.02.1': 'v2.1.0' },
    snapshotter: { '25.06.0': 'v8.2.1', '25.10.0': 'v8.3.0', '26.02.0': 'v8.5.0', '26.06.0': 'v8.6.0' },
    'node-driver-registrar': {
      '25.06.0': 'v2.13.0',
      '25.10.0': 'v2.15.0',
      '26.02.1': 'v2.16.0',
      '26.06.0': 'v2.17.0',
    },
  },
  composes: [
    {
      kind: 'TridentOrchestrator',
      group: 'trident.netapp.io',
      unless: ['spec.tridentImage', 'spec.imageRegistry'],
      image: '{default:trident}',
    },
    {
      kind: 'TridentOrchestrator',
      group: 'trident.netapp.io',
      unless: ['spec.autosupportImage', 'spec.excludeAutosupport', 'spec.imageRegistry'],
      image: '{default:autosupport}',
    },
    ...['attacher', 'provisioner', 'resizer', 'snapshotter', 'node-driver-registrar'].map(
      (name): ComposeRule => ({
        kind: 'TridentOrchestrator',
        group: 'trident.netapp.io',
        unless: ['spec.imageRegistry'],
        image: `registry.k8s.io/sig-storage/csi-${name}:{default:${name}}`,
      }),
    ),
  ],
  unseen: [{ kind: 'TridentOrchestrator', group: 'trident.netapp.io', when: 'spec.imageRegistry' }],
}

const virt = (name: string): ComposeRule => ({
  kind: 'KubeVirt',
  group: 'kubevirt.io',
  image: `{env:VIRT_${name.toUpperCase()}_IMAGE|default:${name}}`,
})

export const kubeVirt: OperatorRules = {
  operator: 'KubeVirt',
  source: 'github.com/kubevirt/kubevirt v1.6: pkg/virt-operator/util/config.go',
  program: 'virt-operator',
  defaults: Object.fromEntries(
    ['api', 'controller', 'handler', 'launcher'].map(name => [
      name,
      { '0.0.0': `{spec.imageRegistry|program.folder}/virt-${name}:{spec.imageTag|program.tag}` },
    ]),
  ),
  composes: ['api', 'controller', 'handler', 'launcher'].map(virt),
}

export const gitLabRunner: OperatorRules = {
  operator: 'GitLab Runner',
  source:
    'docs.gitlab.com/runner/configuration/advanced-configuration, "Helper image": the default flavor of 15.0 and later',
  program: 'gitlab-org/gitlab-runner',
  defaults: {
    helper: {
      '15.0.0': 'registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:x86_64-v{program.version}',
    },
  },
  starts: [{ image: '{default:helper}', unlessText: 'helper_image' }],
}

export const awx: OperatorRules = {
  operator: 'AWX operator',
  source: 'github.com/ansible/awx-operator 2.19.1: roles/installer/defaults/main.yml',
  program: 'ansible/awx-operator',
  knownTo: '2.19.1',
  defaults: { redis: { '2.19.0': '7' }, postgres: { '2.19.0': 'latest' } },
  composes: [
    {
      kind: 'AWX',
      group: 'awx.ansible.com',
      image: '{spec.redis_image|docker.io/redis}:{spec.redis_image_version|default:redis}',
    },
    {
      kind: 'AWX',
      group: 'awx.ansible.com',
      unless: ['spec.postgres_configuration_secret'],
      image:
        '{spec.postgres_image|quay.io/sclorg/postgresql-15-c9s}:{spec.postgres_image_version|default:postgres}',
    },
    {
      kind: 'AWX',
      group: 'awx.ansible.com',
      when: 'spec.image_version',
      image: '{spec.image|quay.io/ansible/awx}:{spec.image_version}',
    },
  ],
  unseen: [{ kind: 'AWX', group: 'awx.ansible.com', unless: ['spec.image_version'] }],
}

export const k6Operator: OperatorRules = {
  operator: 'k6 operator',
  source: 'github.com/grafana/k6-operator v0.0.22 to v1.6.0: pkg/resources/jobs',
  program: 'grafana/k6-operator',
  knownTo: '1.6.0',
  defaults: {
    runner: { '0.0.23': 'grafana/k6:latest' },
    starter: { '0.0.22': 'ghcr.io/grafana/k6-operator:latest-starter' },
  },
  composes: ['TestRun', 'K6'].flatMap(kind => [
    { kind, group: 'k6.io', unless: ['spec.runner.image'], image: '{default:runner}' },
    { kind, group: 'k6.io', unless: ['spec.starter.image'], image: '{default:starter}' },
  ]),
}

const alloyReloader = 'quay.io/prometheus-operator/prometheus-config-reloader'

export const alloyOperator: OperatorRules = {
  operator: 'Alloy operator',
  source:
    'github.com/grafana/alloy-operator, charts 0.3.12 to 0.6.2 (versions 1.4.0 to 1.11.0): operator/helm-charts/alloy',
  program: 'grafana/alloy-operator',
  knownTo: '1.11.0',
  defaults: {
    alloy: {
      '1.4.0': 'v1.11.3',
      '1.5.0': 'v1.12.0',
      '1.5.1': 'v1.12.1',
      '1.5.2': 'v1.12.2',
      '1.6.0': 'v1.13.0',
      '1.6.1': 'v1.14.0',
      '1.7.0': 'v1.15.0',
      '1.8.0': 'v1.16.0',
      '1.8.1': 'v1.16.1',
      '1.9.0': 'v1.16.3',
      '1.10.0': 'v1.17.0',
      '1.10.1': 'v1.17.1',
      '1.11.0': 'v1.18.0',
    },
    reloader: {
      '1.4.0': 'v0.81.0',
      '1.8.2': 'v0.91.0@sha256:7d9e4eea5f1139e602508871f422b0116c60e87c662f3dcd234d5ab60cd0d8c1',
    },
  },
  composes: [
    {
      kind: 'Alloy',
      group: 'collectors.grafana.com',
      unless: ['spec.global.image.registry', 'spec.image.digest'],
      image:
        '{spec.image.registry|docker.io}/{spec.image.repository|grafana/alloy}:{spec.image.tag|default:alloy}',
    },
    {
      kind: 'Alloy',
      group: 'collectors.grafana.com',
      unless: [
        'spec.global.image.registry',
        'spec.configReloader.enabled=false',
        'spec.configReloader.image',
      ],
      image: `${alloyReloader}:{default:reloader}`,
    },
  ],
}

export const rolloutsManager: OperatorRules = {
  operator: 'Argo Rollouts manager',
  source: 'github.com/argoproj-labs/argo-rollouts-manager v0.0.2 to v0.0.9: controllers/default.go',
  program: 'argo-rollouts-manager',
  knownTo: '0.0.9',
  defaults: {
    rollouts: {
      '0.0.2': 'v1.6.6',
      '0.0.4': 'v1.7.1',
      '0.0.5': 'v1.7.2',
      '0.0.6': 'v1.8.3',
      '0.0.8': 'v1.8.4',
      '0.0.9': 'v1.9.0',
    },
  },
  composes: [
    {
      kind: 'RolloutManager',
      group: 'argoproj.io',
      image: '{spec.image|quay.io/argoproj/argo-rollouts}:{spec.version|default:rollouts}',
    },
  ],
}

export const terraform: OperatorRules = {
  operator: 'HCP Terraform operator',
  source:
    'github.com/hashicorp/hcp-terraform-operator: internal/controller/agentpool_controller_deployment.go',
  composes: [
    {
      kind: 'AgentPool',
      group: 'app.terraform.io',
      when: 'spec.agentDeployment',
      unless: ['spec.agentDeployment.spec.containers'],
      image: 'hashicorp/tfc-agent:latest',
    },
  ],
}
