import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { begin, end, parseAnswer } from '../../../src/install/preflight/facts.ts'
import { probeScript } from '../../../src/install/preflight/probe.ts'
import { tempFolder } from '../../kinds/deb/support/programs.ts'

const none = { disks: {}, ports: [], running: [], sockets: [], nameservers: [], proxies: [], noProxy: [] }
const answer = (...lines: string[]) => parseAnswer([begin, ...lines, end, ''].join('\n'))

describe('the answer of a machine', () => {
  it('is read', () => {
    expect(
      answer(
        ...['osId=ubuntu', 'osLike=debian', 'osVersion=22.04', 'osName=Ubuntu 22.04.3 LTS'],
        ...['kernel=5.15.0-91-generic', 'architecture=x86_64', 'cpus=8', 'memory=2048'],
        ...['disk.root=10 64512', 'disk.etcd=20 64513', 'ports=192B 280A', 'time=1700000000'],
        ...['selinux=disabled', 'apparmor=yes', 'swap=no', 'running=containerd kubelet', 'sockets=docker'],
        ...[
          'defaultRoute=yes',
          'nameservers=10.0.0.1 fd00::1',
          'proxies=apt=10.0.0.9:3128',
          'python=3.10.12',
          'sudo=refused',
        ],
        ...['sudoSays=sorry, you must have a tty', 'hostname=gpu-1', `machineId=${'0a'.repeat(16)}`],
        ...['nvidia=8', 'driver=535.183.01', 'nouveau=no', 'secureBoot=no', 'systemd=yes'],
      ),
    ).toEqual({
      flaws: [],
      facts: {
        proxies: ['apt=10.0.0.9:3128'],
        noProxy: [],
        osId: 'ubuntu',
        osLike: ['debian'],
        osVersion: '22.04',
        osName: 'Ubuntu 22.04.3 LTS',
        kernel: '5.15.0-91-generic',
        architecture: 'amd64',
        cpus: 8,
        memory: 2048 * 1024,
        disks: { root: { free: 10_240, device: '64512' }, etcd: { free: 20_480, device: '64513' } },
        ports: [6443, 10_250],
        time: 1_700_000_000,
        selinux: 'disabled',
        apparmor: true,
        swap: false,
        running: ['containerd', 'kubelet'],
        sockets: ['docker'],
        defaultRoute: true,
        nameservers: ['10.0.0.1', 'fd00::1'],
        python: '3.10.12',
        sudo: 'refused',
        sudoSays: 'sorry, you must have a tty',
        hostname: 'gpu-1',
        machineId: '0a'.repeat(16),
        nvidia: 8,
        driver: '535.183.01',
        nouveau: false,
        secureBoot: false,
        systemd: true,
      },
    })
  })

  it('may have a greeting before it and a farewell after it', () => {
    const text = `Welcome!\ncpus=99\n${begin}\ncpus=2\n${end}\nlogout\ncpus=3\n`
    expect(parseAnswer(text)).toEqual({ facts: { ...none, cpus: 2 }, flaws: [] })
  })

  it.each([
    ['nothing', ''],
    ['another program', 'This account is currently not available.\n'],
    ['a beginning that is not a line of its own', `x${begin}\ncpus=2\n`],
  ])('is none: %s', (_, text) => {
    expect(parseAnswer(text)).toBeUndefined()
  })

  it('that lacks everything is an answer that says nothing', () => {
    expect(answer()).toEqual({ facts: none, flaws: [] })
    expect(answer('cpus=', 'osId=')).toEqual({ facts: none, flaws: [] })
  })

  it('that was cut off is reported', () => {
    expect(parseAnswer(`${begin}\ncpus=2\nmemo`)).toEqual({
      facts: { ...none, cpus: 2 },
      flaws: ['it ends too early', 'a line is not text'],
    })
  })

  it.each([
    ['a key twice', ['cpus=2', 'cpus=64'], 'cpus appears twice', { cpus: 2 }],
    ['bytes', ['hostname=\u0000\u001b[2J'], 'a line is not text', {}],
    ['a line of a megabyte', [`hostname=${'a'.repeat(1 << 20)}`, 'cpus=2'], 'it ends too early', {}],
    ['a long line', [`hostname=${'a'.repeat(2_000)}`, 'cpus=2'], 'a line is too long', { cpus: 2 }],
    ['a key of JavaScript', ['__proto__=x', 'constructor=x'], 'a line is not text', {}],
    ['another key', ['toString=x'], 'a key is unknown', {}],
    ['no number', ['cpus=many'], 'cpus is malformed', {}],
    ['a number beyond all', [`memory=${'9'.repeat(40)}`], 'memory is malformed', {}],
    ['a port that is not one of Kubernetes', ['ports=0016'], 'ports is malformed', {}],
    ['too many words', [`running=${'x '.repeat(50)}`], 'running is malformed', {}],
    ['another disk', ['disk.home=1 1'], 'disk.home is malformed', {}],
    ['a name with a shell in it', ['hostname=a;b'], 'hostname is malformed', {}],
    ['an invalid version', ['driver=535\u009b'], 'a line is not text', {}],
    ['neither yes nor no', ['swap=true'], 'swap is malformed', {}],
  ])('may be hostile: %s', (_, lines, flaw, facts) => {
    const found = answer(...lines)
    expect(found?.facts).toEqual({ ...none, ...facts })
    expect(found?.flaws).toContain(flaw)
  })

  it('of many lines is read in part', () => {
    const found = answer(...Array.from({ length: 5_000 }, () => 'junk'), 'cpus=2')
    expect(found).toEqual({ facts: none, flaws: ['more than 200 lines', 'a line is not text'] })
  })

  it('never throws, and its text is printable', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), fc.array(fc.string()), (keys, values) => {
        const lines = keys.map((key, i) => `${key}=${values[i] ?? ''}`)
        expect(JSON.stringify(answer(...lines)?.facts)).toMatch(/^[\x20-\x7e]*$/)
      }),
    )
  })
})

describe('the script', () => {
  it.each([
    ['sh', []],
    ['bash', ['--posix']],
  ])('says everything that this machine can say, in %s', async (shell, options) => {
    const run = promisify(execFile)(shell, [...options, '-c', probeScript({ sudoPassword: false })])
    run.child.stdin?.end()
    const { stdout, stderr } = await run
    expect(stderr).toBe('')
    const found = parseAnswer(stdout)
    expect(found?.flaws).toEqual([])
    expect(found?.facts).toMatchObject({
      kernel: expect.stringMatching(/^\d/),
      cpus: expect.any(Number),
      memory: expect.any(Number),
      hostname: expect.any(String),
      sudo: expect.any(String),
      systemd: expect.any(Boolean),
    })
    expect(Object.keys(found?.facts.disks ?? {})).toEqual(['root', 'var', 'containerd', 'etcd'])
    expect(Math.abs((found?.facts.time ?? 0) - Date.now() / 1000)).toBeLessThan(60)
  })

  it.skipIf(process.getuid?.() !== 0)('finds proxies, without their passwords (needs root)', async () => {
    await using temp = await tempFolder()
    const files = {
      'apt/apt.conf.d/99p':
        'Acquire { http { Proxy "http://u:p@ss@proxy.corp:3128/"; Proxy::10.0.0.10 "DIRECT"; } };\n',
      'apt/apt.conf.d/99site': 'Acquire::https::Proxy::site.example "DIRECT";\n',
      'profile.d/p.sh': 'export http_proxy="http://10.9.9.9:8080"\n',
      environment: 'HTTPS_PROXY=\'http://u:pw/x@10.9.9.8:8080/\'\nno_proxy="localhost,10.0.0.0/8"\n',
      'systemd/system/containerd.service.d/p.conf':
        '[Service]\nEnvironment="HTTP_PROXY=http://10.9.9.7:1" "NO_PROXY=a,b"\n#Environment=HTTPS_PROXY=x\n',
      'systemd/system.conf': '[Manager]\n#DefaultEnvironment=\n',
      'systemd/system/docker.service.d/p.conf': '[Service]\nEnvironment=HTTPS_PROXY=http://10.9.9.6:1\n',
      'dnf/dnf.conf': '[main]\nproxy = http://x:y@d.corp:1\n',
      'os-release': 'ID=debian\n',
    }
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(temp.path, path)), { recursive: true })
      await writeFile(join(temp.path, path), text)
    }
    const inside = `mount --bind '${temp.path}' /etc && exec sh -c "$SCRIPT"`
    const run = promisify(execFile)('unshare', ['--mount', 'sh', '-c', inside], {
      env: { ...process.env, SCRIPT: probeScript({ sudoPassword: false }) },
    })
    run.child.stdin?.end()
    const { stdout } = await run
    expect(parseAnswer(stdout)).toMatchObject({
      flaws: [],
      facts: {
        proxies: [
          'apt=proxy.corp:3128',
          'dnf=d.corp:1',
          'environment=10.9.9.8:8080',
          'containerd=10.9.9.7:1',
          'docker=10.9.9.6:1',
        ],
        noProxy: ['apt=10.0.0.10,site.example', 'environment=localhost,10.0.0.0/8', 'containerd=a,b'],
      },
    })
  })

  it('is plain ASCII: the length of its text is what is sent', () => {
    expect(probeScript({ sudoPassword: true })).toMatch(/^[\n\x20-\x7e]*$/)
  })
})
