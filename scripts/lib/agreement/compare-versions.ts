import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compareVersions } from '../../../src/core/debian-version.ts'
import { parseEvr } from '../../../src/kinds/rpm/rich.ts'
import { compareEvr } from '../../../src/kinds/rpm/rpm-version.ts'

/** Two versions, and our order of them. */
export type Ordered = [a: string, b: string, ours: number]

/** Returns `count` random pairs with our order; the versions of every second pair are similar. */
export function debianPairs(count: number, random: () => number): Ordered[] {
  const epoch = () => pick(['', '', '', '0:', '1:', '00:', '10:'], random)
  const revision = () => pick(['', '-0', '-1', '-1+b1', '-1~bpo12+1', `-${words('~+.a', random)}`], random)
  return pairs(count, {
    random,
    make: () => `${epoch()}0${words('~+.-', random)}${revision()}`.replace(/-(?=.*-$)|-$/g, ''),
    compare: compareVersions,
  })
}

export function rpmPairs(count: number, random: () => number): Ordered[] {
  const epoch = () => pick(['', '', '', '0:', '1:', '10:'], random)
  const release = () => pick(['', '-1', '-1.el9', '-2.el9_4.1', `-1${words('~^._+', random)}`], random)
  return pairs(count, {
    random,
    make: () => `${epoch()}1${words('~^._+', random)}${release()}`,
    compare: (a, b) => compareEvr(evrOf(a), evrOf(b)),
  })
}

/** Returns the pairs that dpkg (`dpkg --compare-versions`, one process each) orders differently. */
export async function differencesFromDpkg(ordered: readonly Ordered[]): Promise<string[]> {
  const relation = ['lt', 'eq', 'gt']
  const lines = ordered.map(
    ([a, b, ours]) =>
      `dpkg --compare-versions '${a}' ${relation[ours + 1]} '${b}' || echo '${a} ${ours} ${b}'\n`,
  )
  return await scripted('check.sh', lines.join(''), path => ['sh', path])
}

/** Returns the pairs that rpm's library (`rpm.vercmp` of its Lua interface) orders differently. */
export async function differencesFromRpm(ordered: readonly Ordered[]): Promise<string[]> {
  const lines = ordered.map(([a, b, ours]) => `${a} ${ours} ${b}\n`)
  const check = (path: string) =>
    `%{lua: for line in io.lines("${path}") do local a, o, b = line:match("([^ ]+) ([^ ]+) ([^ ]+)") ` +
    'if rpm.vercmp(a, b) ~= tonumber(o) then print(line .. "\\n") end end}'
  return await scripted('pairs', lines.join(''), path => ['rpm', '--eval', check(path)])
}

const evrOf = (text: string) => ({ epoch: '', release: '', ...parseEvr(text) })

async function scripted(name: string, text: string, command: (path: string) => string[]): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-versions-'))
  try {
    const path = join(folder, name)
    await writeFile(path, text)
    const [program, ...args] = command(path)
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let errors = ''
    child.stdout.on('data', chunk => (output += String(chunk)))
    child.stderr.on('data', chunk => (errors += String(chunk)))
    const status = await new Promise(resolve => child.on('close', resolve))
    if (status !== 0 && errors !== '') throw new Error(`${program}: ${errors.slice(0, 500)}`)
    return output.split('\n').filter(Boolean)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function pairs(
  count: number,
  { random, make, compare }: { random: () => number; make: () => string; compare: typeof compareVersions },
): Ordered[] {
  return Array.from({ length: count }, (_, i) => {
    const a = make()
    const b = i % 2 === 0 ? make() : edited(a, random)
    return [a, b, Math.sign(compare(a, b))]
  })
}

/** Changes one character, which makes versions that differ late. */
function edited(version: string, random: () => number): string {
  const at = 1 + Math.floor(random() * (version.length - 1))
  const other = pick(['0', '00', '1', '9', 'a', 'Z', '~', '+', '.', '.0', '10'], random)
  const result = version.slice(0, at) + other + version.slice(at + Math.floor(random() * 2))
  return /[0-9A-Za-z~^+.]$/.test(result) && !/:[^0-9]/.test(result) && !/[^0-9].*:/.test(result)
    ? result
    : version
}

function words(punctuation: string, random: () => number): string {
  const all = ['0', '1', '9', '10', '007', 'a', 'b', 'Z', 'rc', 'git', ...punctuation]
  return Array.from({ length: Math.floor(random() * 6) }, () => pick(all, random)).join('')
}

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)]!
}
