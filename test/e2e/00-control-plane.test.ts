import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ControlPlane,
  controlPlanePrograms,
  openControlPlane,
} from '../../scripts/lib/machines/control-plane.ts'
import { missingPrograms, run } from '../../scripts/lib/run.ts'

const lacking = missingPrograms(['helm', ...controlPlanePrograms])
const patience = 180_000
const module = resolve(import.meta.dirname, '../../scripts/lib/machines/control-plane.ts')

describe.skipIf(lacking.length > 0)(
  `a control plane with simulated kubelets (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let work: string
    let cluster: ControlPlane

    beforeAll(async () => {
      work = await mkdtemp(join(tmpdir(), 'airgap-control-plane-'))
      resources.defer(() => rm(work, { recursive: true, force: true }))
      await writeChart(join(work, 'chart'))
      cluster = resources.use(
        await openControlPlane({
          folder: join(work, 'cluster'),
          nodes: [
            { name: 'plain' },
            { name: 'gpu-1', gpus: 8, labels: { 'example.com/kind': 'gpu' } },
            { name: 'gpu-2', gpus: 4, labels: { 'example.com/kind': 'gpu' } },
          ],
        }),
      )
    }, patience)
    afterAll(() => resources.disposeAsync())

    const helm = (...args: string[]) =>
      run(['helm', '--kubeconfig', cluster.kubeconfig, ...args], {
        env: { PATH: process.env['PATH'], HOME: work },
      })
    const objects = async (kind: string, ...args: string[]) => {
      const { items } = JSON.parse(await cluster.kubectl(['get', kind, '-o', 'json', ...args]))
      return items as KubernetesObject[]
    }
    /** APP PHASE NODE of the chart's pods: their names are random */
    const pods = async () =>
      (await objects('pods'))
        .map(({ metadata, status, spec }) => `${metadata.labels['app']} ${status.phase} ${spec.nodeName}`)
        .sort()

    it('is Kubernetes 1.28.6 with ready nodes, and authorizes requests', async () => {
      const version = JSON.parse(await cluster.kubectl(['version', '-o', 'json']))
      expect(version.serverVersion).toMatchObject({ gitVersion: 'v1.28.6', major: '1', minor: '28' })
      const nodes = await objects('nodes')
      expect(
        nodes.map(({ metadata, status }) => [metadata.name, status.allocatable!['nvidia.com/gpu']]),
      ).toEqual([
        ['gpu-1', '8'],
        ['gpu-2', '4'],
        ['plain', undefined],
      ])
      expect((await stat(cluster.kubeconfig)).mode & 0o777).toBe(0o600)
      await expect(cluster.kubectl(['get', 'nodes', '--as=nobody'])).rejects.toThrow('"nobody" cannot list')
    })

    it(
      'runs what helm installs, hooks included',
      async () => {
        await helm('install', 'shop', join(work, 'chart'), '--wait', '--wait-for-jobs', '--timeout=90s')
        expect(await pods()).toEqual([
          'after Succeeded plain',
          'agent Running gpu-1',
          'agent Running gpu-2',
          'agent Running plain',
          'worker Running gpu-1',
          'worker Running gpu-1',
        ])
        const [claim] = await objects('pvc')
        expect(claim!.status.phase).toBe('Bound')
        // the hook completed before, and was deleted as its policy says
        const before = await objects('events', '--field-selector=involvedObject.name=before')
        expect(before.map(({ reason }) => reason)).toContain('Completed')
        expect((await objects('jobs')).map(({ metadata }) => metadata.name)).toEqual(['after'])
      },
      patience,
    )

    it(
      'schedules pods only where there is room, and helm reports a timeout',
      async () => {
        const upgrade = helm(
          'upgrade',
          'shop',
          join(work, 'chart'),
          '--set=replicas=3',
          '--wait',
          '--timeout=8s',
        )
        await expect(upgrade).rejects.toThrow(/deadline exceeded|timed out/)
        await expect.poll(pods, { timeout: 30_000 }).toContain('worker Pending undefined')
      },
      patience,
    )

    it(
      'removes what helm uninstalls',
      async () => {
        await helm('uninstall', 'shop', '--wait', '--timeout=90s')
        await expect.poll(pods, { timeout: 60_000, interval: 500 }).toEqual([])
        for (const kind of ['deployments', 'daemonsets', 'jobs']) expect(await objects(kind)).toEqual([])
      },
      patience,
    )

    it(
      'reports the log of a program that does not run, and leaves no program behind',
      async () => {
        const folder = join(work, 'broken')
        const broken = openControlPlane({
          folder,
          nodes: [],
          inside: ([program, ...args]) =>
            program === 'kube-apiserver' ? ['sh', '-c', 'echo no such flag; exit 1'] : [program!, ...args],
        })
        await expect(broken).rejects.toMatchObject({
          code: 'STEP_FAILED',
          message: expect.stringContaining('kube-apiserver does not run:\nno such flag'),
        })
        expect(await programsWith(folder)).toEqual([])
      },
      patience,
    )

    it(
      'ends with the process that opened it',
      async () => {
        const folder = join(work, 'left')
        const script = `import { openControlPlane } from ${JSON.stringify(module)}
          await openControlPlane({ folder: ${JSON.stringify(folder)}, nodes: [] })`
        const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'ignore' })
        const etcd = () => programsWith(`${folder}/etcd`)
        await expect.poll(etcd, { timeout: 30_000 }).toEqual(['etcd'])
        child.kill('SIGKILL')
        await expect.poll(() => programsWith(folder), { timeout: 10_000 }).toEqual([])
      },
      patience,
    )

    it('leaves no program behind when it is closed', async () => {
      expect(await programsWith(`${work}/cluster`)).toContain('kube-apiserver')
      await cluster.close()
      await cluster.close()
      expect(await programsWith(`${work}/cluster`)).toEqual([])
    })
  },
)

interface KubernetesObject {
  metadata: { name: string; labels: Record<string, string> }
  spec: { nodeName?: string }
  status: { phase?: string; allocatable?: Record<string, string> }
  /** of an event */
  reason?: string
}

/** A hook job before and one after everything else, workers that need GPUs, an agent on every node, a volume. */
async function writeChart(folder: string): Promise<void> {
  const object = (apiVersion: string, kind: string, name: string, more: object) => ({
    apiVersion,
    kind,
    metadata: { name },
    ...more,
  })
  const template = (app: string, spec: object = {}, container: object = {}) => ({
    metadata: { labels: { app } },
    spec: { containers: [{ name: app, image: `example.com/${app}:1`, ...container }], ...spec },
  })
  const selector = (app: string) => ({ matchLabels: { app } })
  const gpus = { resources: { limits: { 'nvidia.com/gpu': 4 } } }
  const job = (name: string, more: object) => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, ...more },
    spec: {
      template: template(name, {
        restartPolicy: 'Never',
        nodeSelector: { 'kubernetes.io/hostname': 'plain' },
      }),
    },
  })
  const templates = {
    before: job('before', {
      annotations: { 'helm.sh/hook': 'pre-install', 'helm.sh/hook-delete-policy': 'hook-succeeded' },
    }),
    after: job('after', {}),
    worker: object('apps/v1', 'Deployment', 'worker', {
      spec: {
        replicas: '{{ .Values.replicas }}',
        selector: selector('worker'),
        template: template('worker', { nodeSelector: { 'kubernetes.io/hostname': 'gpu-1' } }, gpus),
      },
    }),
    agent: object('apps/v1', 'DaemonSet', 'agent', {
      spec: { selector: selector('agent'), template: template('agent') },
    }),
    claim: object('v1', 'PersistentVolumeClaim', 'claim', {
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    }),
  }
  await mkdir(join(folder, 'templates'), { recursive: true })
  await writeFile(join(folder, 'Chart.yaml'), 'apiVersion: v2\nname: shop\nversion: 1.0.0\n')
  await writeFile(join(folder, 'values.yaml'), 'replicas: 2\n')
  for (const [name, content] of Object.entries(templates)) {
    const text = JSON.stringify(content).replace('"{{ .Values.replicas }}"', '{{ .Values.replicas }}')
    await writeFile(join(folder, 'templates', `${name}.yaml`), text)
  }
}

/** Names of the host's programs that were started with a text in their arguments. */
async function programsWith(text: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const [program = '', ...args] = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split(
      '\0',
    )
    if (program !== process.execPath && args.some(arg => arg.includes(text))) found.push(program)
  }
  return found
}
