import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  probeMachine,
  refusal,
  runSsh,
  type SshAccess,
  sshCommand,
} from '../../../src/install/preflight/ssh.ts'
import type { SiteNode } from '../../../src/inventory/schema.ts'
import { tempFolder } from '../support.ts'

const node: SiteNode = { name: 'm', address: '127.0.0.1', roles: ['worker'], port: 9, user: 'else' }
const ssh = { user: 'astrago', port: 22, password: false, sudo: 'passwordless' as const }
const signal = new AbortController().signal

describe('the command line of ssh', () => {
  it('says everything that ssh would ask for, and no password', () => {
    const access = { ssh: { ...ssh, privateKey: '/k' }, knownHosts: '/a b%/known', passwords: {} }
    const command = sshCommand(node, access, 'true')
    expect(command.slice(0, 6)).toEqual(['ssh', '-T', '-p', '9', '-l', 'else'])
    expect(command).toEqual(
      expect.arrayContaining([
        ...['UserKnownHostsFile="/a b%%/known"', 'StrictHostKeyChecking=accept-new', 'BatchMode=yes'],
        ...['ConnectTimeout=10', '-i', '/k'],
      ]),
    )
    expect(command.slice(-3)).toEqual(['--', '127.0.0.1', 'true'])
  })

  it('gives sshpass the file of the password', () => {
    const access = { ssh, knownHosts: '/known', passwords: { ssh: '/site/access/ssh' } }
    const command = sshCommand({ ...node, port: undefined, user: undefined }, access, 'true')
    expect(command.slice(0, 8)).toEqual([
      ...['sshpass', '-f', '/site/access/ssh', 'ssh', '-T', '-p', '22', '-l'],
    ])
    expect(command).not.toContain('BatchMode=yes')
  })
})

describe('what a machine prints', () => {
  const many = (maxOutput?: number) =>
    runSsh(['sh', '-c', 'head -c 1000000 /dev/zero | tr "\\0" x; sleep 1; printf end'], {
      input: '',
      timeoutMs: 60_000,
      signal,
      ...(maxOutput === undefined ? {} : { maxOutput }),
    })

  it('may be as long as the caller expects, and no longer', async () => {
    expect((await many(1 << 20)).stdout).toMatch(/^x{1000000}end$/)
    expect(await many()).toMatchObject({ status: 'SIGKILL', stdout: expect.not.stringContaining('end') })
  })
})

describe('a machine', () => {
  const access = async (): Promise<SshAccess> => ({
    ssh,
    passwords: {},
    knownHosts: join(await tempFolder(), 'known_hosts'),
  })

  it('where nothing listens is a finding', async () => {
    expect(await probeMachine(node, await access(), signal)).toEqual({
      finding: {
        machine: 'm',
        level: 'error',
        what: 'nothing listens on 127.0.0.1, port 9',
        next: expect.stringContaining('start sshd'),
      },
    })
  })

  it('that says nothing is given up', async () => {
    const { createServer } = await import('node:net')
    const server = createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise(there => server.once('listening', there))
    const { port } = server.address() as { port: number }
    const open = new Set<import('node:net').Socket>()
    server.on('connection', socket => open.add(socket))
    const asked = await probeMachine({ ...node, port }, { ...(await access()), timeoutMs: 300 }, signal)
    expect(asked).toMatchObject({ finding: { what: expect.stringContaining('does not answer in time') } })
    for (const socket of open) socket.destroy()
    server.close()
  })

  it('is not asked any more when the run is stopped', async () => {
    const stopped = AbortSignal.abort(new Error('stopped'))
    await expect(probeMachine(node, await access(), stopped)).rejects.toThrow('stopped')
  })
})

describe('refusal', () => {
  const access = {
    ssh: { user: 'root', port: 22, password: false, sudo: 'passwordless' as const },
    passwords: {},
  }
  const said = (stderr: string, more: object = {}, passwords: { ssh?: string } = {}) =>
    refusal(
      { status: 255, stdout: '', stderr, timedOut: false, ...more },
      {
        node: { name: 'm', address: '10.0.0.1', roles: ['worker'], port: 2222 },
        access: { ...access, passwords },
      },
    )

  it.each([
    ['Connection refused', 'nothing listens on 10.0.0.1, port 2222', /systemctl/],
    [
      'ssh: connect to host 10.0.0.1 port 22: Connection timed out',
      '10.0.0.1 cannot be reached',
      /turn it on/,
    ],
    ['ssh: connect to host 10.0.0.1 port 22: No route to host', '10.0.0.1 cannot be reached', /cable/],
    [
      'root@10.0.0.1: Permission denied (publickey).',
      '10.0.0.1 rejects the login of root',
      /authorized_keys/,
    ],
    ['Received disconnect: Too many authentication failures', '10.0.0.1 rejects the login of root', /agent/],
    [
      '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.',
      '10.0.0.1 answers with another host key than before',
      /offline-deploy nodes forget m/,
    ],
    ['kex_exchange_identification: Connection reset', /^sshd closes the connection: kex/, /MaxStartups/],
    ['Connection timed out during banner exchange', /^sshd closes the connection/, /disk may be full/],
    ['', /^does not run a command for root \(exit code 255\)$/, /ssh root@10\.0\.0\.1 true/],
    [
      '\u001b[31mno shell',
      /^does not run a command for root \(exit code 255\): no shell$/,
      /ssh configuration/,
    ],
  ])('%j', (stderr, what, next) => {
    const found = said(stderr)
    expect(found.what).toMatch(what)
    expect(found.next).toMatch(next)
  })

  it('with a password', () => {
    expect(said('', { status: 5 }, { ssh: '/x' }).next).toContain('OFFLINE_DEPLOY_SSH_PASSWORD')
    expect(said('', { status: 'SIGKILL', timedOut: true }).what).toContain('does not answer in time')
  })
})
