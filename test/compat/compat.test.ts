import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { checkVersions, planUpgrade } from '../../src/compat/check.ts'
import { compatibilitySchema } from '../../src/compat/schema.ts'
import { falseClaims, versionsOf } from '../../src/compat/versions.ts'

const document: unknown = parse(readFileSync(resolve('manifests/compatibility.yaml'), 'utf8'))
const rules = compatibilitySchema.parse(document)
const results = (versions: Record<string, string>) =>
  checkVersions(rules, new Map(Object.entries(versions))).map(({ rule, result }) => `${rule.id}: ${result}`)

const now = new Map(
  Object.entries({
    kubernetes: 'v1.28.6',
    'gpu-operator': 'v24.9.2',
    dcgm: '3.3.8-1-ubuntu22.04',
    'nvidia-driver': '535.129.03',
    'binpack-scheduler': 'v1.28.4',
  }),
)

describe('the shipped rules', () => {
  it('are met by the stack of the component document', () => {
    expect(checkVersions(rules, now).map(({ rule, result }) => [rule.id, result])).toEqual([
      ['gpu-operator-24.9-kubernetes', 'met'],
      ['gpu-operator-24.9-driver', 'met'],
      ['metrics-dcgm', 'met'],
      ['scheduler-not-newer', 'met'],
    ])
  })

  it.each([
    [
      'GPU Operator 25.3 on Kubernetes 1.28',
      { 'gpu-operator': 'v25.3.0', kubernetes: 'v1.28.6' },
      'gpu-operator-25.3-kubernetes: broken',
    ],
    [
      'GPU Operator 24.9 on Kubernetes 1.25',
      { 'gpu-operator': 'v24.9.2', kubernetes: '1.25.9' },
      'gpu-operator-24.9-kubernetes: broken',
    ],
    [
      'DCGM 4 with GPU Operator 24.3',
      { dcgm: '4.1.1-2-ubuntu22.04', 'gpu-operator': 'v24.3.0' },
      'dcgm-4-gpu-operator: broken',
    ],
    ['an older DCGM', { dcgm: '3.3.5' }, 'metrics-dcgm: broken'],
    [
      'ansible-core 2.15 on Python 3.12',
      { 'ansible-core': '2.15.13', python: '3.12' },
      'ansible-core-2.15-python: broken',
    ],
    [
      'a scheduler newer than the API server',
      { kubernetes: 'v1.28.6', 'binpack-scheduler': 'v1.29.0' },
      'scheduler-not-newer: broken',
    ],
    ['an unknown driver', { 'gpu-operator': 'v24.9.2' }, 'gpu-operator-24.9-driver: unknown'],
    [
      'a pre-release',
      { 'gpu-operator': 'v25.3.0', kubernetes: 'v1.29.0-rc.1' },
      'gpu-operator-25.3-kubernetes: broken',
    ],
  ])('report %s', (_, versions, expected) => {
    expect(results(versions as Record<string, string>)).toContain(expected)
  })

  it('refuse unknown components and invalid ranges', () => {
    const wrong = structuredClone(document) as { rules: { when: object; needs: object }[] }
    wrong.rules[0]!.when = { kuberntes: '1.x' }
    wrong.rules[1]!.needs = { kubernetes: 'new enough' }
    const { error } = compatibilitySchema.safeParse(wrong)
    expect(error?.issues.map(issue => issue.path.join('.'))).toContain('rules.1.needs.kubernetes')
    wrong.rules[1]!.needs = { kubernetes: '>=1.29.0' }
    expect(compatibilitySchema.safeParse(wrong).error?.issues[0]?.message).toBe('unknown component kuberntes')
  })
})

describe('an upgrade', () => {
  const plan = (wanted: Record<string, string>) =>
    planUpgrade(rules, { now, wanted: new Map(Object.entries(wanted)) })

  it('reports what else it requires', () => {
    const { broken, steps } = plan({ 'gpu-operator': 'v25.3.0' })
    expect(steps).toEqual([{ component: 'gpu-operator', from: 'v24.9.2', to: 'v25.3.0' }])
    expect(broken.map(({ rule }) => rule.id)).toEqual(['gpu-operator-25.3-kubernetes'])
  })

  it('begins with a backup, then Kubernetes, GPU Operator, applications', () => {
    const { broken, steps, backupFirst, forbidden } = plan({
      dcgm: '4.1.1-2-ubuntu22.04',
      'gpu-operator': 'v25.3.0',
      kubernetes: 'v1.29.5',
      'binpack-scheduler': 'v1.29.5',
    })
    expect(steps.map(step => step.component)).toEqual([
      'kubernetes',
      'gpu-operator',
      'dcgm',
      'binpack-scheduler',
    ])
    expect([broken, forbidden, backupFirst]).toEqual([[], [], true])
  })

  it('refuses to skip a minor version of Kubernetes, and to downgrade', () => {
    expect(plan({ kubernetes: 'v1.30.1' }).forbidden[0]?.why).toBe(
      'minor versions must not be skipped: upgrade to 1.29 first',
    )
    expect(plan({ 'gpu-operator': 'v24.6.0' }).forbidden[0]?.why).toBe('this is a downgrade')
    expect(plan({ kubernetes: 'v1.28.14' }).forbidden).toEqual([])
  })
})

describe('the versions of a stack', () => {
  it('are reported where the manifest declares others than the stack carries', () => {
    const claims = (driver: string, ...carried: string[]) =>
      falseClaims(rules, {
        images: ['registry.k8s.io/kube-apiserver:v1.28.6'],
        charts: [],
        wheels: [],
        packages: [
          { name: 'nvidia-kernel-common-535', version: '1' },
          ...carried.map(version => ({ name: 'nvidia-utils-535-server', version })),
        ],
        declared: { 'nvidia-driver': driver, kubernetes: '1.28.6', containerd: '1.7.13' },
      })
    expect(claims('535.129.03', '535.274.02', '535.129.03')).toEqual([
      { component: 'nvidia-driver', declared: '535.129.03', carried: ['535.274.02'] },
    ])
    expect(claims('535', '535.274.02')).toEqual([])
    expect(claims('53', '535.274.02')).toHaveLength(1)
    expect(claims('535.129.03')).toEqual([])
  })

  it('come from tags, charts and wheels; declared versions win', () => {
    const versions = versionsOf(rules, {
      images: [
        'registry.k8s.io/kube-apiserver:v1.28.6',
        'nvcr.io/nvidia/cloud-native/dcgm:3.3.8-1-ubuntu22.04@sha256:0',
      ],
      charts: [{ name: 'gpu-operator', version: 'v24.9.2' }],
      wheels: [{ project: 'ansible-core', version: '2.15.13' }],
      packages: [],
      declared: { 'nvidia-driver': '535.129.03', kubernetes: 'v1.28.10' },
    })
    expect(Object.fromEntries(versions)).toEqual({
      kubernetes: 'v1.28.10',
      'gpu-operator': 'v24.9.2',
      dcgm: '3.3.8-1-ubuntu22.04',
      'nvidia-driver': '535.129.03',
      'ansible-core': '2.15.13',
    })
  })
})
