import { execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planLayout } from '../../src/bundle/layout.ts'
import { openBundle } from '../../src/bundle/reader.ts'
import { signedContent } from '../../src/bundle/signed-content.ts'
import { BundleWriter } from '../../src/bundle/writer.ts'
import { treeArtifacts } from '../../src/content/tree.ts'
import { newSecretKey, openSecretKey } from '../../src/signature/minisign-secret-key.ts'
import { signBundle } from '../../src/signature/sign-bundle.ts'
import type { Signer } from '../../src/signature/signer.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { blobOf, sampleStack } from '../site/support/sample-site.ts'

/**
 * What a person types on site before anything of the medium runs, run by a real shell with the machine's own tar, sha256sum, minisign and
 * ssh-keygen, against media that someone changed. The first check cannot come on the medium: such a program says "good" of itself.
 */

const programs = ['minisign', 'ssh-keygen', 'sha256sum', 'tar']
const cli = resolve(import.meta.dirname, '../../src/cli/offline-deploy.ts')
const proof = '/proof-that-it-ran'

/** As in a bundle: a wrapper, a runtime and a program. This wrapper starts the program of this checkout. */
const honest = {
  'offline-deploy': `#!/bin/sh\nexec ${process.execPath} ${cli} "$@"\n`,
  node: 'runtime',
  'offline-deploy.mjs': 'program',
  'FIELD-GUIDE.md': 'guide',
}

let work: string
let builder: Signer
let attacker: Signer
/** what the builder's own copy says, which reached the site on paper */
let paper: string

async function newSigner() {
  const { text } = await newSecretKey(undefined)
  return await openSecretKey(text, { item: 'k', askPassword: async () => '' })
}

/** Builds and signs a bundle on a medium of its own; returns the folder, and the text of what to type. */
async function medium(
  name: string,
  { files = honest as Record<string, string>, signer = builder, version = '1.0.0' } = {},
) {
  const folder = join(work, name)
  mkdirSync(folder)
  const path = join(folder, 'sample.tar')
  const tree = Object.entries(files).map(([file, text]) => ({
    path: `offline-deploy/${file}`,
    mode: '100755' as const,
    descriptor: blobOf(text).descriptor,
    origin: { sources: [] },
  }))
  const artifacts = treeArtifacts({ name: 'offline-deploy', kind: 'runtime', files: tree })
  const bytes = Object.values(files).map(text => blobOf(text))
  for (const blob of artifacts.flatMap(({ blobs }) => blobs)) {
    const file = tree.find(({ descriptor }) => descriptor.digest === blob.descriptor.digest)
    if (file !== undefined) blob.file = { path: file.path, mode: 0o755 }
  }
  const layout = planLayout([...sampleStack(), ...artifacts], { name: 'sample', version })
  const writer = await BundleWriter.open(path, layout)
  for (const slot of writer.pending()) {
    await slot.write(bytes.find(({ descriptor }) => descriptor.digest === slot.descriptor.digest)!.bytes)
    await slot.finish()
  }
  await writer.seal()
  await writer.close()
  const store = await openBundle(path)
  const content = signedContent(store)
  await store.close()
  const options = { content, signers: [signer], formats: ['minisign', 'ssh'] as const, expires: undefined }
  const signed = await signBundle(path, {
    ...options,
    now: new Date('2026-11-27T03:20:00Z'),
    stale: 'refuse',
  })
  return { folder, path, sums: signed.sums, text: signed.instructions.text }
}

/** The lines that are typed, with the folders of this test; the second way to check is ssh-keygen. */
function linesOf(
  text: string,
  { media, host, way }: { media: string; host: string; way: 'minisign' | 'ssh-keygen' },
) {
  const typed = text
    .split('\n')
    .filter(line =>
      /^ {4}(B=|S=|cd |minisign |echo |ssh-keygen |grep |for |sha256sum -c|chmod |export |offline-deploy verify)/.test(
        line,
      ),
    )
  return typed
    .map(line => line.trim())
    .filter(line => !(way === 'minisign' ? /^(echo|ssh-keygen) / : /^minisign /).test(line))
    .map(line => line.replaceAll('/media/usb', media).replaceAll('/opt', host))
}

/** A person types line after line, and stops at the first one that fails. */
function typeOn(
  folder: string,
  { text = paper, way = 'minisign' as 'minisign' | 'ssh-keygen', obstinate = false } = {},
) {
  const host = mkdtempSync(join(work, 'host-'))
  const lines = linesOf(text, { media: folder, host, way })
  const script = lines.join(obstinate ? '\n' : ' &&\n')
  const run = spawnSync('bash', ['-c', `umask 022\n${script}`], {
    encoding: 'utf8',
    cwd: host,
    env: { PATH: process.env.PATH, HOME: host },
  })
  const output = run.stdout + run.stderr
  const ran = existsSync(join(work, proof))
  return { code: run.status, output, host, ran, lines }
}

const payload = () => ({
  ...honest,
  'offline-deploy': `#!/bin/sh\ntouch ${join(work, proof)}\necho "good"\n`,
  node: 'evil',
})

describe.skipIf(!programs.every(hasTool))(`the first check on site (needs ${programs.join(', ')})`, () => {
  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'airgap-first-check-'))
    builder = await newSigner()
    attacker = await newSigner()
    paper = (await medium('good')).text
  })
  afterAll(() => rmSync(work, { recursive: true, force: true }))

  it.each(['minisign', 'ssh-keygen'] as const)('passes for the bundle that was built: with %s', way => {
    const { code, output, host, lines } = typeOn(join(work, 'good'), { way })
    expect({ code, output }).toMatchObject({ code: 0 })
    expect(lines).toHaveLength(way === 'minisign' ? 11 : 12)
    expect(output).toMatch(
      /Signature and comment signature verified|Good "astrago-airgap" signature for airgap/,
    )
    expect(output).toContain('offline-deploy/offline-deploy: OK\n')
    expect(output).toContain('sample.tar: good')
    expect(readdirSync(join(host, 'offline-deploy')).sort()).toEqual(Object.keys(honest).sort())
  })

  it('prints what the sheet says that it prints', () => {
    const { output } = typeOn(join(work, 'good'))
    const expected = paper
      .split('\n')
      .filter(line => /^ {4}(Signature and|Trusted comment|.*: OK$)/.test(line))
    expect(expected).toHaveLength(7)
    for (const line of expected) expect(output).toContain(line.trim())
  })

  it('without it, a rebuilt bundle says of itself that it is good', async () => {
    const { folder, path } = await medium('self', { files: payload(), signer: attacker })
    const host = mkdtempSync(join(work, 'host-'))
    execFileSync('tar', ['xf', path, 'offline-deploy'], { cwd: host })
    expect(
      execFileSync(join(host, 'offline-deploy/offline-deploy'), ['verify', path], { encoding: 'utf8' }),
    ).toBe('good\n')
    rmSync(join(work, proof))
    // the same medium, checked first with what was not on it
    for (const way of ['minisign', 'ssh-keygen'] as const)
      expect(typeOn(folder, { way })).toMatchObject({ ran: false, code: way === 'minisign' ? 1 : 255 })
  })

  it('stops at the signature: a rebuilt bundle with its own list, key and instructions', async () => {
    const { folder, text } = await medium('rebuilt', { files: payload(), signer: attacker })
    const { ran, output } = typeOn(folder)
    expect(ran).toBe(false)
    expect(output).toContain('Signature key id')
    // the instructions on the medium would have passed: they must come by another way
    expect(typeOn(folder, { text }).ran).toBe(true)
    rmSync(join(work, proof))
  })

  it.each<[string, (sums: string) => void]>([
    [
      'a stripped signature',
      sums => {
        for (const suffix of ['minisig', 'sig']) rmSync(`${sums}.${suffix}`)
      },
    ],
    [
      'a list that was edited',
      sums => writeFileSync(sums, readFileSync(sums, 'utf8').replace('1.0.0', '1.0.1')),
    ],
    [
      'a list with one more file',
      sums => writeFileSync(sums, `${readFileSync(sums, 'utf8')}${'a'.repeat(64)}  offline-deploy/z\n`),
    ],
    ['no list', sums => rmSync(sums)],
  ])('stops at the signature: %s', (name, spoil) => {
    const folder = join(work, name.replaceAll(' ', '-'))
    cpSync(join(work, 'good'), folder, { recursive: true })
    spoil(join(folder, 'sample.tar.sums'))
    for (const way of ['minisign', 'ssh-keygen'] as const) {
      const { code, host } = typeOn(folder, { way })
      expect(code).not.toBe(0)
      expect(existsSync(join(host, 'index.json'))).toBe(false)
    }
  })

  it('stops at the checksums: the good list and signature, with another bundle', async () => {
    const { folder } = await medium('swapped', { files: payload(), signer: attacker })
    for (const suffix of ['sums', 'sums.minisig', 'sums.sig'])
      cpSync(join(work, 'good', `sample.tar.${suffix}`), join(folder, `sample.tar.${suffix}`))
    const { code, output, ran } = typeOn(folder)
    expect({ code, ran }).toEqual({ code: 1, ran: false })
    expect(output).toContain('offline-deploy/offline-deploy: FAILED')
  })

  it('stops at the checksums: one changed byte of a program', () => {
    const folder = join(work, 'flipped')
    cpSync(join(work, 'good'), folder, { recursive: true })
    const bytes = readFileSync(join(folder, 'sample.tar'))
    const at = bytes.indexOf('exec ', bytes.indexOf('#!/bin/sh'))
    bytes.write('evil ', at)
    writeFileSync(join(folder, 'sample.tar'), bytes)
    expect(typeOn(folder)).toMatchObject({
      code: 1,
      output: expect.stringContaining('offline-deploy/offline-deploy: FAILED'),
    })
  })

  /** A copy of the good medium whose tar has more entries: before or after those of the bundle. */
  function withEntries(
    name: string,
    { make, where }: { make: (folder: string) => string[]; where: 'before' | 'after' },
  ) {
    const folder = join(work, name)
    cpSync(join(work, 'good'), folder, { recursive: true })
    const extra = join(folder, 'extra')
    mkdirSync(join(extra, 'offline-deploy'), { recursive: true })
    const names = make(extra)
    execFileSync('tar', ['-cf', join(folder, 'extra.tar'), '--owner=1234', ...names], { cwd: extra })
    const [first, second] = where === 'before' ? ['extra.tar', 'sample.tar'] : ['sample.tar', 'extra.tar']
    // without the zero blocks that end the first one: tar goes on with the second
    const head = readFileSync(join(folder, first))
    const end =
      first === 'sample.tar'
        ? head.length - 1024
        : Number(
            execFileSync(
              'sh',
              ['-c', `tar -tvRf extra.tar | sed -n 's/^block \\([0-9]*\\): \\*\\* Block of NULs.*/\\1/p'`],
              { cwd: folder, encoding: 'utf8' },
            )
              .trim()
              .split('\n')[0],
          ) * 512
    writeFileSync(
      join(folder, 'sample.tar'),
      Buffer.concat([head.subarray(0, end), readFileSync(join(folder, second))]),
    )
    return folder
  }

  it('never unpacks a second program that was appended; verify then refuses the bundle', () => {
    const folder = withEntries('appended', {
      where: 'after',
      make(extra) {
        writeFileSync(join(extra, 'offline-deploy/offline-deploy'), payload()['offline-deploy'], {
          mode: 0o755,
        })
        writeFileSync(join(extra, 'offline-deploy/node'), 'evil', { mode: 0o4755 })
        writeFileSync(join(extra, 'offline-deploy/evil'), 'evil', { mode: 0o755 })
        return ['offline-deploy/offline-deploy', 'offline-deploy/node', 'offline-deploy/evil']
      },
    })
    // what unpacking the folder would do
    const naive = mkdtempSync(join(work, 'host-'))
    execFileSync('tar', ['xf', join(folder, 'sample.tar'), 'offline-deploy'], { cwd: naive })
    expect(readFileSync(join(naive, 'offline-deploy/node'), 'utf8')).toBe('evil')
    const { code, output, ran, host } = typeOn(folder)
    expect({ code, ran }).toEqual({ code: 6, ran: false })
    expect(output).toContain('offline-deploy/node: OK')
    expect(output).toContain('bytes longer than the bundle')
    expect(readdirSync(join(host, 'offline-deploy')).sort()).toEqual(Object.keys(honest).sort())
  })

  it('stops at the checksums for a program that was put before the right one', () => {
    const folder = withEntries('prepended', {
      where: 'before',
      make(extra) {
        writeFileSync(join(extra, 'offline-deploy/node'), 'evil', { mode: 0o755 })
        return ['offline-deploy/node']
      },
    })
    expect(typeOn(folder)).toMatchObject({
      code: 1,
      ran: false,
      output: expect.stringContaining('offline-deploy/node: FAILED'),
    })
  })

  it('writes nothing through symbolic links, hard links and folders of the archive', () => {
    const folder = withEntries('links', {
      where: 'before',
      make(extra) {
        rmSync(join(extra, 'offline-deploy'), { recursive: true })
        symlinkSync(work, join(extra, 'offline-deploy'))
        return ['offline-deploy']
      },
    })
    const good = typeOn(folder)
    expect(statSync(join(good.host, 'offline-deploy')).isDirectory()).toBe(true)
    expect(existsSync(join(work, 'node'))).toBe(false)
    const second = withEntries('link-to-file', {
      where: 'before',
      make(extra) {
        // its content is right when it is checked, and another one later
        const later = join(work, 'later')
        writeFileSync(later, honest.node)
        symlinkSync(later, join(extra, 'offline-deploy/node'))
        return ['offline-deploy/node']
      },
    })
    const { code, host } = typeOn(second)
    expect(code).toBe(1)
    expect(statSync(join(host, 'offline-deploy/node')).size).toBe(0)
  })

  it('gives the files to the person who typed, whatever owner, mode and set-user-ID bits the archive has', () => {
    const folder = withEntries('modes', {
      where: 'before',
      make(extra) {
        writeFileSync(join(extra, 'offline-deploy/node'), honest.node, { mode: 0o666 })
        execFileSync('chmod', ['4777', join(extra, 'offline-deploy/node')])
        return ['offline-deploy/node']
      },
    })
    const { host, output } = typeOn(folder)
    expect(output).toContain('offline-deploy/node: OK')
    const { mode, uid } = statSync(join(host, 'offline-deploy/node'))
    expect({ mode: mode & 0o7777, uid }).toEqual({ mode: 0o755, uid: process.getuid!() })
  })

  it('writes into its own folder only, also for someone who goes on after a wrong signature', async () => {
    const folder = join(work, 'hostile-list')
    cpSync(join(work, 'good'), folder, { recursive: true })
    const outside = join(work, 'outside')
    const names = [
      `offline-deploy/../../outside`,
      outside,
      'offline-deploy/$(touch outside)',
      '--to-command=touch',
      'offline-deploy/;touch',
    ]
    writeFileSync(join(folder, 'sample.tar.sums'), names.map(name => `${'a'.repeat(64)}  ${name}\n`).join(''))
    const { host } = typeOn(folder, { obstinate: true })
    expect(existsSync(outside)).toBe(false)
    expect(existsSync(join(host, 'outside'))).toBe(false)
  })

  it('does not go on in a folder that is there already', () => {
    const { code, lines, host } = typeOn(join(work, 'good'))
    expect(code).toBe(0)
    const again = spawnSync('bash', ['-c', lines.join(' &&\n')], {
      encoding: 'utf8',
      cwd: host,
      env: { PATH: process.env.PATH },
    })
    expect(again.status).toBe(1)
    expect(again.stderr).toContain('File exists')
  })

  it('shows the version of an older bundle, whose signature is good as well', async () => {
    const { folder } = await medium('older', { version: '0.9.0' })
    const { output } = typeOn(folder)
    expect(output).toContain('Trusted comment: sample 0.9.0 sha256:')
    expect(output).toContain('# version: 0.9.0')
  })
})
