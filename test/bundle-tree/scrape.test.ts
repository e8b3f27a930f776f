import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasTool } from '../bundle/has-tool.ts'
import { id, layDown, type Node, runCollector, shells, systemd } from './collector.ts'
import { type Exporter, program, startExporter } from './exporter.ts'

/** `GPU-0000000N-…` of the recordings */
const uuid = (gpu: number) => `GPU-0000000${gpu}-1111-2222-3333-444455556666`
/** [GPU, GPU instance, compute instance], the last two for MIG */
type Device = [number, string?, string?]
interface Process {
  on: Device
  pid: number
  command: string
  type?: string
  /** namespace, pod, container */
  place?: [string, string, string]
  busy?: string
  memory?: string
}
// node-exporter sorts: families by name, series by their labels, labels by name
const session = ([gpu, gi = '', ci = '']: Device, count: number) =>
  `gpu_session_count{compute_instance="${ci}",gpu="${gpu}",gpu_instance="${gi}",uuid="${uuid(gpu)}"} ${count}`
const series = (name: string, { on: [gpu, gi = '', ci = ''], pid, command, type = 'C', place }: Process) => {
  const [namespace, pod, container] = place ?? ['', '', '']
  return (
    `${name}{command="${command}",compute_instance="${ci}",container="${container}",gpu="${gpu}",gpu_instance="${gi}",` +
    `namespace="${namespace}",pid="${pid}",pod="${pod}",type="${type}",uuid="${uuid(gpu)}"}`
  )
}
const family = (name: string, help: string, samples: string[]) =>
  samples.length === 0 ? [] : [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...samples]

/** The expected exposition, line by line. */
function exposition(processes: Process[], sessions: string[], success = 1): string[] {
  const of = (name: string, value: (process: Process) => string | undefined) =>
    processes.flatMap(process =>
      value(process) === undefined ? [] : [`${series(name, process)} ${value(process)}`],
    )
  return [
    ...family(
      'gpu_process_info',
      'A process on a GPU, and the container it runs in',
      of('gpu_process_info', () => '1'),
    ),
    ...family(
      'gpu_process_memory_utilization',
      'Share of the memory of the GPU or MIG instance that a process uses, in percent',
      of('gpu_process_memory_utilization', process => process.memory),
    ),
    ...family(
      'gpu_process_utilization',
      'Share of the multiprocessors of the GPU that a process uses, in percent',
      of('gpu_process_utilization', process => process.busy),
    ),
    ...family('gpu_session_collector_success', '1 if nvidia-smi answered', [
      `gpu_session_collector_success ${success}`,
    ]),
    ...family('gpu_session_collector_timestamp_seconds', 'When the GPUs were asked', [
      'gpu_session_collector_timestamp_seconds 1.7e+09',
    ]),
    ...family('gpu_session_count', 'Processes on a GPU or MIG instance', sessions),
    ...(success === 0
      ? []
      : family('gpu_total_sessions', 'Processes on all GPUs', [`gpu_total_sessions ${processes.length}`])),
  ]
}

const alive = (...pids: number[]) => Object.fromEntries(pids.map(pid => [`${pid}`, '0::/\n']))

const cases: [string, Node, string[]][] = [
  [
    'one GPU, with one process in a pod',
    {
      xml: 'one.xml',
      pmon: 'one.pmon',
      processes: { 4242: systemd('0a1b', id('a')), 4343: '0::/system.slice/gdm.service\n' },
      containers: [`trainer-0_team-a_main-${id('a')}.log`],
    },
    exposition(
      [
        { on: [0], pid: 4343, command: '/usr/lib/xorg/Xorg', type: 'G', memory: '0.05' },
        {
          on: [0],
          pid: 4242,
          command: 'python3 train.py',
          place: ['team-a', 'trainer-0', 'main'],
          busy: '98',
          memory: '10',
        },
      ],
      [session([0], 2)],
    ),
  ],
  [
    'eight GPUs, two of them idle',
    { xml: 'eight.xml', pmon: 'eight.pmon', processes: alive(5000, 5001, 5002, 5003, 5004, 5005) },
    exposition(
      [0, 1, 2, 3, 4, 5].map(gpu => ({
        on: [gpu],
        pid: 5000 + gpu,
        command: `/opt/conda/bin/python${gpu}`,
        busy: `${gpu * 10}`,
        memory: '50',
      })),
      [0, 1, 2, 3, 4, 5, 6, 7].map(gpu => session([gpu], gpu < 6 ? 1 : 0)),
    ),
  ],
  [
    'MIG instances beside a GPU without MIG',
    { xml: 'mig.xml', pmon: 'mig.pmon', processes: alive(6001, 6002, 6003) },
    exposition(
      [
        { on: [1], pid: 6003, command: 'jupyter <kernel> & \\"x\\"', busy: '7', memory: '1.25' },
        { on: [0, '1', '0'], pid: 6001, command: 'python', memory: '25.32' },
        { on: [0, '5', '0'], pid: 6002, command: 'python', memory: '2.55' },
      ],
      [session([1], 1), session([0, '1', '0'], 1), session([0, '13', '0'], 0), session([0, '5', '0'], 1)],
    ),
  ],
  [
    'a process that has ended, and one whose memory the driver does not report',
    { xml: 'gone.xml', processes: alive(7002) },
    exposition([{ on: [0], pid: 7002, command: 'python' }], [session([0], 1)]),
  ],
  ['no GPU, by the exit status', { xml: 'none.txt', status: 6 }, exposition([], [])],
  ['no GPU, with exit status 0', { xml: 'none.txt', status: 0 }, exposition([], [])],
  ['a driver that does not answer', { xml: 'error.txt', status: 9 }, exposition([], [], 0)],
]

/** one GPU with a process for each name; names as nvidia-smi writes them, byte by byte */
function named(names: Buffer[]): Buffer {
  return Buffer.concat([
    Buffer.from(`<nvidia_smi_log>\n<gpu id="0">\n<uuid>${uuid(0)}</uuid>\n<processes>\n`),
    ...names.flatMap((name, index) => [
      Buffer.from(`<process_info>\n<pid>${8000 + index}</pid>\n<type>C</type>\n<process_name>`),
      name,
      Buffer.from('</process_name>\n</process_info>\n'),
    ]),
    Buffer.from('</processes>\n</gpu>\n</nvidia_smi_log>\n'),
  ])
}

/** name as nvidia-smi writes it, value of the exposed label */
const hostile: [string, Buffer, string][] = [
  ['quotes', Buffer.from('a"b\'c&quot;"'), 'a\\"b\'c\\"\\"'],
  ['backslashes', Buffer.from('C:\\temp\\new\\\\x\\'), 'C:\\\\temp\\\\new\\\\\\\\x\\\\'],
  ['a backslash before a quote', Buffer.from('\\&quot;} 1'), '\\\\\\"} 1'],
  ['braces and a hash sign', Buffer.from('# {x="y"} 1'), '# {x=\\"y\\"} 1'],
  ['bars, the collector’s field separator', Buffer.from('a|b||c'), 'a|b||c'],
  ['percent signs', Buffer.from('%s%n%d'), '%s%n%d'],
  ['control characters', Buffer.from('a\tb\x01\x1b[31mc\x7f'), 'a b  [31mc '],
  ['an end of line', Buffer.from('first\nsecond 1'), 'first'],
  ['text in the form of a series', Buffer.from('x\ngpu_total_sessions 99\n# TYPE x y'), 'x'],
  ['another script', Buffer.from('학습.py 😀'), '학습.py 😀'],
  ['bytes that are not UTF-8', Buffer.from([0x61, 0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0x62]), 'a??????b'],
  ['half a character', Buffer.from([0x61, 0xf0, 0x9f]), 'a??'],
  [
    'a name of more than 200 bytes, cut between characters',
    Buffer.from(`x${'한'.repeat(100)}`),
    `x${'한'.repeat(66)}`,
  ],
  ['an entity where the name is cut off', Buffer.from(`${'x'.repeat(199)}&amp;y`), `${'x'.repeat(199)}&`],
  ['nothing', Buffer.from(''), ''],
]

describe.skipIf(!hasTool(program)).each(shells)(
  `${program} exposes the collector’s file in %s (needs ${program})`,
  (...shell) => {
    let folder: string
    let textfiles: string
    let exporter: Exporter
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'gpu-scrape-'))
      textfiles = await mkdtemp(join(folder, 'textfile-'))
      exporter = await startExporter(textfiles)
    })
    afterAll(async () => {
      await exporter?.stop()
      await rm(folder, { recursive: true, force: true })
    })

    /** Runs the collector once and scrapes node-exporter: as on a node, each run replaces the previous file. */
    async function scrape(node: Node): Promise<string[]> {
      const env = { ...(await layDown(node, folder)), TEXTFILE_FOLDER: textfiles }
      const { status, stderr } = runCollector(shell, env)
      expect(status, stderr).toBe(0)
      expect(await readdir(textfiles)).toEqual(['gpu_sessions.prom'])
      const lines = (await exporter.scrape()).split('\n')
      expect(lines, exporter.said()).toContain('node_textfile_scrape_error 0')
      expect(lines).toContain('node_scrape_collector_success{collector="textfile"} 1')
      return lines.filter(line => /^(# (HELP|TYPE) )?gpu_/.test(line))
    }

    it.each(cases)('%s', async (_, node, expected) => {
      expect(await scrape(node)).toEqual(expected)
    })

    it.each(hostile)('a process named with %s', async (_, name, command) => {
      const xml = join(folder, 'hostile.xml')
      await writeFile(xml, named([name]))
      expect(await scrape({ xml, processes: alive(8000) })).toEqual(
        exposition([{ on: [0], pid: 8000, command }], [session([0], 1)]),
      )
    })

    it('processes with such names, all at once', async () => {
      const xml = join(folder, 'hostile.xml')
      await writeFile(xml, named(hostile.map(([, name]) => name)))
      const lines = await scrape({ xml, processes: alive(...hostile.map((_, index) => 8000 + index)) })
      expect(lines.filter(line => line.startsWith('gpu_process_info{'))).toHaveLength(hostile.length)
      expect(lines).toContain(`gpu_total_sessions ${hostile.length}`)
    })
  },
)
