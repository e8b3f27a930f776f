import { describe, expect, it } from 'vitest'
import { providedApis } from '../../src/discover/api-versions.ts'
import { kubernetesApis } from '../../src/discover/kubernetes-apis.ts'
import { missing } from '../kinds/deb/support/programs.ts'
import {
  chartYaml,
  discoverTree,
  environments,
  podTemplate,
  release,
  upstreams,
  writeTree,
} from './support/deployment-tree.ts'

const lacking = missing('helm', 'helmfile')
const crd = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: monitors.monitoring.example}
spec:
  group: monitoring.example
  scope: Namespaced
  names: {kind: Monitor, plural: monitors}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, description: "a: b"}
    - {name: v1alpha1, served: false, storage: false, schema: {openAPIV3Schema: {type: object}}}
`

describe.skipIf(lacking.length > 0)(
  `charts that depend on the APIs of the cluster (needs ${lacking.join(', ') || 'nothing else'})`,
  () => {
    const ifHas = (api: string, image: string) =>
      `{{- if .Capabilities.APIVersions.Has "${api}" }}\n${podTemplate(image.replaceAll(/[^a-z0-9]/g, '-'), image)}{{- end }}\n`
    const tree = (templates: Record<string, string>, more: Record<string, string> = {}) =>
      writeTree({
        'chart/Chart.yaml': chartYaml('app'),
        ...Object.fromEntries(
          Object.entries(templates).map(([name, text]) => [`chart/templates/${name}`, text]),
        ),
        ...more,
        'helmfile.yaml.gotmpl': `${environments}releases:\n${release('app', './chart')}${more['other/Chart.yaml'] === undefined ? '' : release('other', './other')}`,
      })

    it('have those of the declared version of Kubernetes, with their kinds', async () => {
      const folder = await tree({
        'new.yaml': ifHas('networking.k8s.io/v1/Ingress', 'a/new:1'),
        'old.yaml': ifHas('policy/v1beta1/PodSecurityPolicy', 'a/old:1'),
      })
      const at = async (kubernetes: string) =>
        upstreams(await discoverTree(folder, { deployment: { kubernetes } }))
      expect(await at('v1.31.0')).toEqual(['quay.io/a/new:1'])
      expect(await at('v1.24.3')).toEqual(['quay.io/a/new:1', 'quay.io/a/old:1'])
    })

    it.each([
      ['crds/ of a chart', 'other/crds/x.yaml'],
      ['a template', 'other/templates/x.yaml'],
    ])('have those that the releases add by %s', async (_, path) => {
      const folder = await tree(
        {
          'v.yaml': ifHas('monitoring.example/v1', 'a/version:1'),
          'k.yaml': ifHas('monitoring.example/v1/Monitor', 'a/kind:1'),
          'n.yaml': ifHas('monitoring.example/v1alpha1', 'a/not-served:1'),
        },
        { 'other/Chart.yaml': chartYaml('other'), [path]: crd },
      )
      const found = await discoverTree(folder)
      expect(upstreams(found).toSorted()).toEqual(['quay.io/a/kind:1', 'quay.io/a/version:1'])
    })

    it('have those of `apiVersions`; what others would add is not a finding, but shown', async () => {
      const folder = await tree({
        'a.yaml': ifHas('monitoring.coreos.com/v1', 'a/monitor:1'),
        'b.yaml': ifHas('route.openshift.io/v1', 'a/route:1'),
      })
      const found = await discoverTree(folder, { deployment: { apiVersions: ['monitoring.coreos.com/v1'] } })
      expect(found.images.map(({ upstream, dormant }) => [upstream, dormant])).toEqual([
        ['quay.io/a/monitor:1', undefined],
        ['quay.io/a/route:1', 'the cluster has none of the APIs route.openshift.io/v1'],
      ])
    })
  },
)

describe('APIs', () => {
  it('of Kubernetes follow its versions', () => {
    expect(kubernetesApis('v1.28.6')).toEqual(
      expect.arrayContaining(['apps/v1', 'flowcontrol.apiserver.k8s.io/v1beta2']),
    )
    expect(kubernetesApis('v1.29.0')).not.toContain('flowcontrol.apiserver.k8s.io/v1beta2')
    expect(kubernetesApis('1.30.4')).toContain('admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy')
    expect(kubernetesApis(undefined)).toContain('resource.k8s.io/v1/ResourceClaim')
  })

  it('of CRDs are those that are served, whatever the form of the YAML', () => {
    const apis = ['monitoring.example/v1', 'monitoring.example/v1/Monitor']
    expect(providedApis(crd)).toEqual(apis)
    expect(providedApis(`---\n# Source: x\n${crd}---\nkind: Pod\n`)).toEqual(apis)
    expect(
      providedApis(
        'kind: CustomResourceDefinition\nspec: {group: old.example, version: v1beta1, names: {kind: Old}}\n',
      ),
    ).toEqual(['old.example/v1beta1', 'old.example/v1beta1/Old'])
    expect(providedApis('kind: APIService\nspec: {group: metrics.k8s.io, version: v1beta1}\n')).toEqual([
      'metrics.k8s.io/v1beta1',
    ])
    expect(providedApis('kind: CustomResourceDefinition\nspec: {group: [\n')).toEqual([])
  })
})
