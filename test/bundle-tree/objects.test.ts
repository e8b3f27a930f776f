// What no schema checks: whether the objects of our charts fit together, across charts.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { hasTool } from '../bundle/has-tool.ts'
import { type Any, objectsOf, type Thing, yamlFiles } from './kubernetes.ts'
import { closed, own, renderSite } from './site.ts'

type Labels = Record<string, string>
interface Workload {
  thing: Thing
  name: string
  namespace: string
  labels: Labels
  selector?: Labels
  pod: Any
  containers: Any[]
}

const lacking = ['helm', 'helmfile'].filter(program => !hasTool(program))

describe.skipIf(lacking.length > 0)('objects of our charts (needs helm, helmfile)', () => {
  let folder: string
  let things: (Thing & { namespace: string })[]
  let workloads: Workload[]

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'objects-'))
    const out = await renderSite({ into: folder, names: Object.values(own), addresses: closed })
    things = []
    for (const file of await yamlFiles(out)) {
      // the folder is named after the release's namespace
      const release = file.slice(out.length + 1).split('/')[0]!
      for (const object of await objectsOf(file))
        things.push({ ...object, namespace: object.metadata.namespace ?? release })
    }
    workloads = things.flatMap(thing => {
      const template =
        thing.kind === 'CronJob' ? thing['spec'].jobTemplate.spec.template : thing['spec']?.template
      if (template?.spec?.containers === undefined) return []
      const pod = template.spec
      return {
        thing,
        name: `${thing.kind} ${thing.metadata.name}`,
        namespace: thing.namespace,
        labels: template.metadata?.labels ?? {},
        selector: thing['spec'].selector?.matchLabels,
        pod,
        containers: [...(pod.initContainers ?? []), ...pod.containers],
      }
    })
    expect(workloads.length).toBeGreaterThan(8)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const find = (kind: string, namespace: string, name: string) =>
    things.find(thing => thing.kind === kind && thing.namespace === namespace && thing.metadata.name === name)
  const matches = (selector: Labels, labels: Labels) =>
    Object.entries(selector).every(([key, value]) => labels[key] === value)

  it('exist once each', () => {
    const names = things.map(({ apiVersion, kind, namespace, metadata }) =>
      [apiVersion, kind, /^Cluster|Definition$|^APIService$/.test(kind) ? '' : namespace, metadata.name].join(
        ' ',
      ),
    )
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
  })

  it('select their own pods, and no others', () => {
    const faults = workloads.flatMap(({ name, namespace, selector, labels }) => {
      if (selector === undefined) return []
      const others = workloads.filter(
        other => other.name !== name && other.namespace === namespace && matches(selector, other.labels),
      )
      return [
        ...(matches(selector, labels) ? [] : [`${name} does not select its pods`]),
        ...others.map(other => `${name} selects those of ${other.name}`),
      ]
    })
    expect(faults).toEqual([])
  })

  it('of kind Service lead to the ports of one workload', () => {
    const faults = things
      .filter(({ kind }) => kind === 'Service')
      .flatMap(({ namespace, metadata: { name }, ['spec']: spec }) => {
        const targets = workloads.filter(
          target => target.namespace === namespace && matches(spec.selector, target.labels),
        )
        if (targets.length !== 1) return [`${name} leads to ${targets.length} workloads`]
        const ports: Any[] = targets[0]!.containers.flatMap(container => container.ports ?? [])
        return spec.ports.flatMap((port: Any) => {
          const target = port.targetPort ?? port.port
          return ports.some(({ name, containerPort }) => target === name || target === containerPort)
            ? []
            : [`${name}: no port ${target}`]
        })
      })
    expect(faults).toEqual([])
  })

  it('use distinct node ports', async () => {
    const common = parse(await readFile('bundle/astrago/environments/common/values.yaml', 'utf8'))
    // those that the environment sets for the published charts
    const ports = [common.keycloak.servicePort, common.harbor.servicePort]
    for (const { kind, ['spec']: spec } of things)
      if (kind === 'Service')
        for (const { nodePort } of spec.ports) if (nodePort !== undefined) ports.push(nodePort)
    expect(ports.length).toBeGreaterThan(5)
    expect(new Set(ports).size).toBe(ports.length)
    expect(ports.filter(port => !(port >= 30000 && port <= 32767))).toEqual([])
  })

  it('refer to existing volumes, ConfigMaps, Secrets, claims and accounts', () => {
    const faults: string[] = []
    for (const { name, namespace, pod, containers } of workloads) {
      const need = (kind: string, wanted: string | undefined, key?: string) => {
        if (wanted === undefined) return
        const found = find(kind, namespace, wanted)
        if (found === undefined) faults.push(`${name}: no ${kind} ${wanted}`)
        else if (key !== undefined && !(key in { ...found['data'], ...found['stringData'] }))
          faults.push(`${name}: no key ${key} in ${kind} ${wanted}`)
      }
      need('ServiceAccount', pod.serviceAccountName)
      const volumes = pod.volumes ?? []
      const mounts = containers.flatMap(container => container.volumeMounts ?? [])
      for (const volume of volumes) {
        need('ConfigMap', volume.configMap?.name)
        need('Secret', volume.secret?.secretName)
        need('PersistentVolumeClaim', volume.persistentVolumeClaim?.claimName)
        if (!mounts.some(mount => mount.name === volume.name))
          faults.push(`${name}: ${volume.name} is mounted nowhere`)
        for (const mount of mounts.filter(mount => mount.name === volume.name && mount.subPath !== undefined))
          need('ConfigMap', volume.configMap?.name, mount.subPath)
      }
      for (const mount of mounts)
        if (!volumes.some((volume: Any) => volume.name === mount.name))
          faults.push(`${name}: no volume ${mount.name}`)
      for (const container of containers) {
        const env: Any[] = container.env ?? []
        for (const { valueFrom } of env) {
          need('Secret', valueFrom?.secretKeyRef?.name, valueFrom?.secretKeyRef?.key)
          need('ConfigMap', valueFrom?.configMapKeyRef?.name, valueFrom?.configMapKeyRef?.key)
        }
        if (new Set(env.map(variable => variable.name)).size !== env.length)
          faults.push(`${name}: a variable twice`)
        for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
          const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port
          if (typeof port === 'string' && !container.ports?.some((has: Any) => has.name === port))
            faults.push(`${name}: a probe uses port ${port}`)
        }
      }
    }
    expect(faults).toEqual([])
  })

  it('bind existing accounts to existing roles, or to roles of Kubernetes', () => {
    const faults = things
      .filter(({ kind }) => kind.endsWith('RoleBinding'))
      .flatMap(({ namespace, metadata: { name }, ['roleRef']: role, ['subjects']: subjects }) => [
        ...(things.some(thing => thing.kind === role.kind && thing.metadata.name === role.name) ||
        /^(cluster-admin|system:(kube-scheduler|volume-scheduler|auth-delegator)|extension-apiserver-authentication-reader)$/.test(
          role.name,
        )
          ? []
          : [`${name}: no ${role.kind} ${role.name}`]),
        ...subjects.flatMap((subject: Any) =>
          find(subject.kind, subject.namespace ?? namespace, subject.name)
            ? []
            : [`${name}: no ${subject.kind} ${subject.name}`],
        ),
      ])
    expect(faults).toEqual([])
  })
})
