import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { id, layDown, type Node, runCollector, shells, systemd } from './collector.ts'

describe.each(shells)('the collector in %s', (...shell) => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gpu-sessions-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  async function collect(node: Node): Promise<{ metrics: string[]; files: string[]; stderr: string }> {
    const env = await layDown(node, folder)
    const { status, stderr } = runCollector(shell, env)
    expect(status, stderr).toBe(0)
    const text = await readFile(join(env['TEXTFILE_FOLDER']!, 'gpu_sessions.prom'), 'utf8')
    return {
      metrics: text.split('\n').filter(line => line !== '' && !line.startsWith('#')),
      files: await readdir(env['TEXTFILE_FOLDER']!),
      stderr,
    }
  }
  const only = (metrics: string[], name: string) => metrics.filter(line => line.startsWith(name))

  it('lists the processes of one GPU, with their pods', async () => {
    const { metrics, files } = await collect({
      xml: 'one.xml',
      pmon: 'one.pmon',
      processes: {
        4242: systemd('0a1b', id('a')),
        4343: '0::/system.slice/gdm.service\n',
      },
      containers: [`trainer-0_team-a_main-${id('a')}.log`, `trainer-0_team-a_sidecar-${id('b')}.log`],
    })
    const gpu = 'gpu="0",uuid="GPU-00000000-1111-2222-3333-444455556666",gpu_instance="",compute_instance=""'
    const trainer = `${gpu},pid="4242",command="python3 train.py",type="C",namespace="team-a",pod="trainer-0",container="main"`
    const screen = `${gpu},pid="4343",command="/usr/lib/xorg/Xorg",type="G",namespace="",pod="",container=""`
    expect(metrics).toEqual([
      'gpu_session_collector_success 1',
      'gpu_session_collector_timestamp_seconds 1700000000',
      `gpu_session_count{${gpu}} 2`,
      'gpu_total_sessions 2',
      `gpu_process_info{${trainer}} 1`,
      `gpu_process_info{${screen}} 1`,
      `gpu_process_utilization{${trainer}} 98`,
      `gpu_process_memory_utilization{${trainer}} 10.00`,
      `gpu_process_memory_utilization{${screen}} 0.05`,
    ])
    expect(files).toEqual(['gpu_sessions.prom'])
  })

  it('counts each of eight GPUs, including idle ones (fault 131)', async () => {
    const processes = Object.fromEntries([0, 1, 2, 3, 4, 5].map(i => [`${5000 + i}`, '0::/\n']))
    const { metrics } = await collect({ xml: 'eight.xml', pmon: 'eight.pmon', processes })
    expect(
      only(metrics, 'gpu_session_count')
        .map(line => line.slice(-1))
        .join(''),
    ).toBe('11111100')
    expect(only(metrics, 'gpu_total_sessions')).toEqual(['gpu_total_sessions 6'])
    expect(only(metrics, 'gpu_process_utilization').map(line => line.split(' ').pop())).toEqual([
      '0',
      '10',
      '20',
      '30',
      '40',
      '50',
    ])
    expect(only(metrics, 'gpu_process_memory').every(line => line.endsWith(' 50.00'))).toBe(true)
  })

  it('counts MIG instances separately, against their own memory, beside a GPU without MIG', async () => {
    const { metrics } = await collect({
      xml: 'mig.xml',
      pmon: 'mig.pmon',
      processes: { 6001: '0::/\n', 6002: '0::/\n', 6003: '0::/\n' },
    })
    expect(
      only(metrics, 'gpu_session_count').map(line =>
        /gpu="(\d)".*gpu_instance="(\d*)".* (\d)$/.exec(line)!.slice(1).join('/'),
      ),
    ).toEqual(['0/1/1', '0/5/1', '0/13/0', '1//1'])
    expect(only(metrics, 'gpu_process_memory').map(line => line.split(' ').pop())).toEqual([
      '25.32',
      '2.55',
      '1.25',
    ])
    // the driver reports no utilization of a MIG instance
    expect(only(metrics, 'gpu_process_utilization')).toHaveLength(1)
    expect(metrics.join('\n')).toContain('command="jupyter <kernel> & \\"x\\""')
  })

  it('leaves out a process that has ended, and values that the driver does not report', async () => {
    const { metrics } = await collect({ xml: 'gone.xml', processes: { 7002: '0::/\n' } })
    expect(only(metrics, 'gpu_total_sessions')).toEqual(['gpu_total_sessions 1'])
    expect(only(metrics, 'gpu_process_info')).toHaveLength(1)
    expect(only(metrics, 'gpu_process_memory')).toEqual([])
  })

  it.each([0, 6])('has no sessions without a GPU (exit code %d)', async status => {
    const { metrics } = await collect({ xml: 'none.txt', status })
    expect(metrics).toEqual([
      'gpu_session_collector_success 1',
      'gpu_session_collector_timestamp_seconds 1700000000',
      'gpu_total_sessions 0',
    ])
  })

  it('reports a driver that does not answer, and drops old sessions', async () => {
    const { metrics, stderr } = await collect({ xml: 'error.txt', status: 9 })
    expect(metrics).toEqual([
      'gpu_session_collector_success 0',
      'gpu_session_collector_timestamp_seconds 1700000000',
    ])
    expect(stderr).toContain("couldn't communicate with the NVIDIA driver")
  })

  it('parses the cgroup paths of every runtime', async () => {
    for (const text of [
      `11:devices:/kubepods/besteffort/pod1/${id('c')}\n10:cpu:/kubepods/besteffort/pod1/${id('c')}\n`,
      `0::/kubepods.slice/kubepods-pod1.slice/crio-${id('c')}.scope/container\n`,
      `0::/../../kubepods-pod1.slice/cri-containerd-${id('c')}.scope\n`,
    ]) {
      const { metrics } = await collect({
        xml: 'gone.xml',
        processes: { 7002: text },
        containers: [`web-5d_default_app-${id('c')}.log`],
      })
      expect(metrics.join('\n')).toContain('namespace="default",pod="web-5d",container="app"')
    }
  })
})
