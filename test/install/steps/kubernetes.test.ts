import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { kubernetesStep } from '../../../src/install/steps/kubernetes.ts'
import { testContext } from '../support.ts'

/** The step, with a kubectl that prints what the real one prints of a cluster with one node of this version. */
async function stepFor(running: string, version: string | undefined) {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-kubernetes-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const status = { nodeInfo: { kubeletVersion: running }, conditions: [{ type: 'Ready', status: 'True' }] }
  const answer = JSON.stringify({ items: [{ metadata: { name: 'master-1' }, status }] })
  await writeFile(join(bin, 'kubectl'), `#!/bin/sh\ncat <<'END'\n${answer}\nEND\n`, { mode: 0o755 })
  const program = () => ({ log: join(folder, 'log'), running: join(folder, 'running'), silenceMs: 1_000 })
  return kubernetesStep({
    needs: [],
    ansible: {
      bin,
      inventory: join(folder, 'hosts.yaml'),
      knownHosts: join(folder, 'known_hosts'),
      work: folder,
      passwords: {},
      program,
    },
    cluster: {
      bin,
      kubeconfig: join(folder, 'kubeconfig'),
      home: folder,
    },
    kubespray: join(folder, 'kubespray'),
    machines: ['master-1'],
    controlPlane: ['master-1'],
    version,
    upgrade: true,
    inputs: async () => ({}),
  })
}

describe('the step kubernetes', () => {
  it('refuses to downgrade: before the playbook runs, and as the line that plan shows', async () => {
    const step = await stepFor('v1.29.1', 'v1.28.6')
    const message = 'Kubernetes cannot be downgraded: master-1 runs v1.29.1, the bundle has v1.28.6'
    expect(await step.describe(testContext())).toEqual([`refused: ${message}`])
    await expect(step.apply(testContext())).rejects.toMatchObject({ code: 'INCOMPATIBLE', message })
  })

  it.each([
    ['v1.27.10', 'v1.28.6', /upgrade-cluster\.yml/],
    ['v1.28.6', 'v1.28.6', /cluster\.yml/],
    ['v1.28.6', undefined, /cluster\.yml/],
  ])('from %s to %s it runs a playbook', async (running, version, playbook) => {
    const lines = await (await stepFor(running, version)).describe(testContext())
    expect(lines.join('\n')).toMatch(playbook)
    expect(lines.join('\n')).not.toContain('refused')
  })
})
