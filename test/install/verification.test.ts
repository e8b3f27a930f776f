import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { verificationStep } from '../../src/install/steps/verification.ts'
import { tempFolder, testContext } from './support.ts'

const registry = '10.0.0.5:35000'
const ready = [{ type: 'Ready', status: 'True' }]
const nodes = {
  items: [
    {
      metadata: { name: 'gpu-1' },
      status: { conditions: ready, allocatable: {}, nodeInfo: { kubeletVersion: 'v1.28.6' } },
    },
  ],
}
const pods = (image: string, conditions = ready) => ({
  items: [
    {
      metadata: { name: 'core', namespace: 'astrago' },
      spec: { containers: [{ name: 'main', image }] },
      status: { phase: 'Running', conditions },
    },
  ],
})
const services = {
  items: [
    {
      metadata: {
        name: 'prometheus-operated',
        namespace: 'prometheus',
        labels: { 'operated-prometheus': 'true' },
      },
      spec: { ports: [{ port: 9090 }] },
    },
  ],
}
const vector = (...values: string[]) => ({
  status: 'success',
  data: { resultType: 'vector', result: values.map(value => ({ value: [1, value] })) },
})

/** A kubectl that answers as the real one did; pods are not ready the first `late` times. */
async function clusterWith(answers: { pods: unknown; late?: unknown; metrics?: unknown }) {
  const folder = await tempFolder()
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const put = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value))
  await put('nodes', nodes)
  await put('pods', answers.pods)
  await put('services', services)
  await put('metrics', answers.metrics ?? vector('1'))
  if (answers.late !== undefined) await put('late', answers.late)
  const script = `#!/bin/sh
echo "$*" >>${folder}/asked
case "$2 $3" in
  --raw*) cat ${folder}/metrics ;;
  pods*) if [ -e ${folder}/late ]; then cat ${folder}/late; rm ${folder}/late; else cat ${folder}/pods; fi ;;
  *) cat ${folder}/$2 ;;
esac
`
  await writeFile(join(bin, 'kubectl'), script, { mode: 0o755 })
  const step = verificationStep({
    cluster: { bin, kubeconfig: join(folder, 'kubeconfig'), home: folder },
    registry,
    carried: () => false,
    gpuNodes: ['gpu-1'],
    sessionMetrics: true,
    needs: [],
    patienceMs: answers.late === undefined ? 0 : 60_000,
  })
  return { step, asked: () => readFile(join(folder, 'asked'), 'utf8') }
}

describe('verification', () => {
  it('notes warnings, and queries Prometheus through the API server', async () => {
    const { step, asked } = await clusterWith({ pods: pods(`${registry}/astrago/core:1`), metrics: vector() })
    const context = testContext()
    await step.apply(context)
    expect(context.notes).toEqual([
      expect.stringContaining('GPU node gpu-1 has no allocatable nvidia.com/gpu'),
      expect.stringContaining('metrics of GPU sessions have not arrived'),
    ])
    expect(await asked()).toContain(
      'get --raw /api/v1/namespaces/prometheus/services/prometheus-operated:9090/proxy/api/v1/query?query=gpu_session_collector_success --request-timeout=30s',
    )
  })

  it('fails at once on an image of another registry', async () => {
    const { step } = await clusterWith({ pods: pods('docker.io/evil/core:1') })
    await expect(step.apply(testContext())).rejects.toMatchObject({
      code: 'STEP_FAILED',
      message: expect.stringContaining(
        'image docker.io/evil/core:1 does not come from this site: astrago/core (main)',
      ),
      next: expect.stringContaining('rebuild the bundle'),
    })
  })

  it('waits for pods that may become ready', { timeout: 30_000 }, async () => {
    const image = `${registry}/astrago/core:1`
    const late = pods(image, [{ type: 'Ready', status: 'False' }])
    const { step } = await clusterWith({ pods: pods(image), late })
    const context = testContext()
    await step.apply(context)
    expect(context.notes[0]).toBe('verification: waiting: pod astrago/core is not ready')
  })

  it('fails where the cluster does not answer', async () => {
    const { step } = await clusterWith({ pods: 'x' })
    await expect(step.apply(testContext())).rejects.toMatchObject({
      message: expect.stringContaining('the output of kubectl get pods is not a list'),
    })
    const none = verificationStep({
      cluster: { bin: '/nowhere', kubeconfig: '/nowhere', home: '/nowhere' },
      registry,
      carried: () => false,
      gpuNodes: [],
      sessionMetrics: false,
      needs: [],
      patienceMs: 0,
    })
    await expect(none.apply(testContext())).rejects.toMatchObject({
      code: 'STEP_FAILED',
      message: expect.stringContaining('the cluster does not answer: kubectl get nodes'),
    })
  })
})
