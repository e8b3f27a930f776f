import type { ComposeRule, OperatorRules } from './rule.ts'

function stack(kind: string, group: string, repository: string): ComposeRule {
  return {
    kind,
    group: `${group}.k8s.elastic.co`,
    unless: ['spec.image'],
    image: `{setting:container-registry|docker.elastic.co}/${repository}{setting:container-suffix|}:{spec.version}`,
  }
}

/** `monitoring` of a resource adds a Beat to each of its pods. */
const monitored = (kind: string, group: string): ComposeRule[] =>
  (['metrics', 'logs'] as const).map(what => ({
    kind,
    group: `${group}.k8s.elastic.co`,
    when: `spec.monitoring.${what}.elasticsearchRefs.*`,
    image: `{setting:container-registry|docker.elastic.co}/beats/${what === 'logs' ? 'filebeat' : 'metricbeat'}{setting:container-suffix|}:{spec.version}`,
  }))

export const elastic: OperatorRules = {
  operator: 'Elastic Cloud on Kubernetes',
  source:
    'elastic/cloud-on-k8s v3: pkg/controller/common/container/container.go, pkg/controller/common/stackmon',
  composes: [
    ...monitored('Elasticsearch', 'elasticsearch'),
    ...monitored('Kibana', 'kibana'),
    ...monitored('Logstash', 'logstash'),
    stack('Elasticsearch', 'elasticsearch', 'elasticsearch/elasticsearch'),
    stack('Kibana', 'kibana', 'kibana/kibana'),
    stack('ApmServer', 'apm', 'apm/apm-server'),
    stack('EnterpriseSearch', 'enterprisesearch', 'enterprise-search/enterprise-search'),
    stack('Logstash', 'logstash', 'logstash/logstash'),
    stack('ElasticMapsServer', 'maps', 'elastic-maps-service/elastic-maps-server'),
    stack('Beat', 'beat', 'beats/{spec.type}'),
    stack('Agent', 'agent', 'elastic-agent/elastic-agent'),
    stack('AutoOpsAgentPolicy', 'autoops', 'elastic-agent/elastic-otel-collector'),
    {
      kind: 'PackageRegistry',
      group: 'packageregistry.k8s.elastic.co',
      unless: ['spec.image'],
      image:
        '{setting:container-registry|docker.elastic.co}/package-registry/distribution:lite-{spec.version}',
    },
  ],
}
