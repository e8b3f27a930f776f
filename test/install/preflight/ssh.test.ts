import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { askMachine, type SshAccess, sshCommand } from '../../../src/install/preflight/ssh.ts'
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

describe('a machine', () => {
  const access = async (): Promise<SshAccess> => ({
    ...{ ssh, passwords: {} },
    knownHosts: join(await tempFolder(), 'known_hosts'),
  })

  it('where nothing listens is a finding', async () => {
    expect(await askMachine(node, await access(), signal)).toEqual({
      finding: {
        ...{ machine: 'm', level: 'error', what: 'nothing listens at 127.0.0.1, port 9' },
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
    const asked = await askMachine({ ...node, port }, { ...(await access()), timeoutMs: 300 }, signal)
    expect(asked).toMatchObject({ finding: { what: expect.stringContaining('does not answer in time') } })
    for (const socket of open) socket.destroy()
    server.close()
  })

  it('is not asked any more when the run is stopped', async () => {
    const stopped = AbortSignal.abort(new Error('stopped'))
    await expect(askMachine(node, await access(), stopped)).rejects.toThrow('stopped')
  })
})
