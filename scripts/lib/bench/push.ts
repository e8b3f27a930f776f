import { createHash, randomBytes } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../../../src/core/errors.ts'
import { requirePrograms } from '../run.ts'
import { measure, median } from './measure.ts'
import { type Bench, GiB, MiB } from './options.ts'
import { treeCpu, watchMemory } from './process-tree.ts'
import { atLeast } from './rows.ts'
import type { Server } from './servers.ts'

interface Pushed {
  seconds: number
  serverCpu: number
  /** bytes */
  serverMemory: number
}

const password = 'bench-push-password'

/** Pushes one blob of 1 GiB, other bytes each time, to both servers in turn: one upload with its length, by curl. */
export async function pushes({
  bench,
  ours,
  peers,
}: {
  bench: Bench<'size' | 'seconds'>
  ours: Server
  peers: readonly Server[]
}): Promise<void> {
  requirePrograms(['curl'], '--with-clients')
  const { work, table } = bench
  await measure(
    [
      join(work, 'offline-deploy', 'offline-deploy'),
      ...['users', 'add', 'bench', '--role', 'push', '--site', join(work, 'site')],
    ],
    { env: { OFFLINE_DEPLOY_USER_PASSWORD: password } },
  )
  const file = join(work, 'pushed')
  const all = new Map([ours, ...peers].map(server => [server, [] as Pushed[]]))
  for (let i = 0; i < bench.runs; i++) {
    const digest = await randomFile(file)
    all.get(ours)!.push(await push(ours, { file, digest, user: 'bench' }))
    for (const peer of peers) {
      const measured = all.get(peer)
      try {
        measured?.push(await push(peer, { file, digest }))
      } catch (error) {
        all.delete(peer)
        table.leaveOut(peer.name, error instanceof Error ? error.message : String(error))
      }
    }
  }
  await rm(file)
  for (const peer of peers) {
    const [own, theirs] = [all.get(ours)!, all.get(peer)]
    if (theirs === undefined) continue
    const ratio = median(own.map((one, i) => theirs[i]!.seconds / one.seconds))
    const speed = (pushed: readonly Pushed[]) =>
      `${Math.round(GiB / MiB / median(pushed.map(one => one.seconds)))} MiB/s`
    const peak = (pushed: readonly Pushed[]) => Math.max(...pushed.map(one => one.serverMemory))
    const cpu = (pushed: readonly Pushed[]) => median(pushed.map(one => one.serverCpu))
    table.add({
      what: 'push of 1 GiB, 1 client: throughput; CPU s/GiB',
      ours: speed(own),
      peer: speed(theirs),
      against: peer.name,
      value: ratio,
      cpu: [cpu(own), cpu(theirs)],
      memory: [peak(own), peak(theirs)],
      ...atLeast(1, ratio),
    })
  }
}

/** Writes 1 GiB that no server has yet; returns its digest. */
async function randomFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await using file = await open(path, 'w')
  const block = randomBytes(MiB)
  for (let i = 0; i < GiB / MiB; i++) {
    block.writeUInt32LE(i)
    hash.update(block)
    await file.write(block)
  }
  await file.sync()
  return `sha256:${hash.digest('hex')}`
}

async function push(
  { name, url, pid }: Server,
  { file, digest, user }: { file: string; digest: string; user?: string },
): Promise<Pushed> {
  // zot answers a login that it does not expect with an error
  const login = user === undefined ? '' : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const headers: Record<string, string> = login === '' ? {} : { authorization: login }
  const begun = await fetch(`${url}/v2/bench/pushed/blobs/uploads/`, {
    method: 'POST',
    headers,
  })
  if (begun.status !== 202)
    throw new AirgapError('STEP_FAILED', `a server refuses a push: status ${begun.status}`, { item: name })
  const location = new URL(begun.headers.get('location') ?? '', url)
  location.searchParams.set('digest', digest)
  const before = treeCpu(pid)
  const memory = watchMemory(pid)
  try {
    const { seconds } = await measure([
      ...['curl', '--fail', '-sS', '-o', '/dev/null', '-T', file],
      ...['-H', 'Content-Type: application/octet-stream'],
      ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
      location.href,
    ])
    return { seconds, serverCpu: treeCpu(pid) - before, serverMemory: memory.stop() }
  } finally {
    memory.stop()
  }
}
