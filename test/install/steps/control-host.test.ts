import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MemoryStore } from '../../../src/content/memory-store.ts'
import type { TreeEntries } from '../../../src/content/tree.ts'
import { findPython } from '../../../src/install/python.ts'
import { controlHostStep } from '../../../src/install/steps/control-host.ts'
import { hashedRequirements, writeWheelhouse } from '../../../src/install/wheelhouse.ts'
import { metadataOf, type Release, wheelFile } from '../../kinds/wheel/support/wheel-file.ts'
import { zipOf } from '../../kinds/wheel/support/zip.ts'
import { put } from '../../serve/support/servers.ts'
import { tempFolder, testContext } from '../support.ts'

const { signal } = testContext()

/** The tree `pypi` of a bundle: wheels by project, their metadata beside them. */
async function wheelsOf(releases: readonly Release[]) {
  const store = new MemoryStore()
  const entries: TreeEntries = new Map()
  const add = async (path: string, bytes: Buffer) =>
    entries.set(path, { mode: '100644', descriptor: await put(store, bytes) })
  for (const release of releases) {
    const { project, filename, bytes } = wheelFile(release)
    await add(`${project}/${filename}`, bytes)
    await add(`${project}/${filename}.metadata`, Buffer.from(metadataOf(release)))
  }
  return { store, entries, add }
}

describe('the wheels of the control host', () => {
  const releases: Release[] = [
    { name: 'ansible', version: '8.5.0', requires: ['Ansible_Core (>=2.15)', 'extra-one; extra == "x"'] },
    { name: 'ansible-core', version: '2.15.13', requires: ['jinja2>=3', 'ansible'] },
    { name: 'Jinja2', version: '3.1.2' },
    { name: 'Jinja2', version: '3.1.3' },
    { name: 'extra.one', version: '1' },
    { name: 'torch', version: '2.0' },
  ]
  const needed = [
    'Jinja2-3.1.2-py3-none-any.whl',
    'Jinja2-3.1.3-py3-none-any.whl',
    'ansible-8.5.0-py3-none-any.whl',
    'ansible_core-2.15.13-py3-none-any.whl',
    'extra_one-1-py3-none-any.whl',
  ]

  it.each([
    [
      '# ansible\nansible==8.5.0 # a comment\n\nJinja2[x] ; python_version > "3" \\\n  --hash=sha256:0\n',
      needed,
    ],
    ['torch\n', ['torch-2.0-py3-none-any.whl']],
    ['-r other.txt\n', [...needed, 'torch-2.0-py3-none-any.whl']],
    ['missing\n', []],
  ])('of %j are those that its requirements can need', async (requirements, expected) => {
    const folder = join(await tempFolder(), 'wheels')
    await mkdir(folder)
    await writeFile(join(folder, 'left-over.whl'), '')
    await writeWheelhouse(await wheelsOf(releases), { requirements, folder, signal })
    expect((await readdir(folder).catch(() => [])).sort()).toEqual(expected)
  })

  it('have the digests of the bundle, whatever pip reports', async () => {
    const wheels = await wheelsOf([{ name: 'six', version: '1.16.0+local' }])
    const report = (file: string) =>
      JSON.stringify({
        install: [
          {
            download_info: { url: `file:///x/${file}`, archive_info: { hash: 'sha256=0' } },
            metadata: { name: 'six', version: '1.16.0+local' },
          },
        ],
      })
    const { descriptor } = wheels.entries.get('six/six-1.16.0+local-py3-none-any.whl')!
    expect(hashedRequirements(report('six-1.16.0%2Blocal-py3-none-any.whl'), wheels)).toBe(
      `six==1.16.0+local --hash=${descriptor.digest}\n`,
    )
    expect(() => hashedRequirements(report('six-2-py3-none-any.whl'), wheels)).toThrow(
      expect.objectContaining({ code: 'DIGEST_MISMATCH', item: 'six-2-py3-none-any.whl' }),
    )
  })
})

const bundled = ['/usr/share/python-wheels', '/usr/lib/python3.11/ensurepip/_bundled']
const pip = (
  await Promise.all(
    bundled.map(async folder => (await readdir(folder).catch(() => [])).map(name => join(folder, name))),
  )
)
  .flat()
  .find(path => /\/pip-\d[^/]*-none-any\.whl$/.test(path))
const lacking = [
  ...(existsSync('/usr/bin/python3') ? [] : ['/usr/bin/python3']),
  ...(pip === undefined ? ['a wheel of pip'] : []),
]

describe.skipIf(lacking.length > 0)(
  `the control-host step (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    it('installs ansible from the bundle alone, with the hash of every wheel', {
      timeout: 120_000,
    }, async () => {
      const folder = await tempFolder()
      const wheels = await wheelsOf([
        { name: 'dependency', version: '2.0' },
        { name: 'dependency', version: '1.0' },
      ])
      const stem = 'fake_ansible-1.0'
      const metadata = metadataOf({ name: 'fake-ansible', version: '1.0', requires: ['dependency<2'] })
      const files = [
        ['fake_ansible.py', 'import dependency\ndef main():\n    print("ansible")\n'],
        [`${stem}.dist-info/METADATA`, metadata],
        [
          `${stem}.dist-info/WHEEL`,
          'Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
        ],
        [`${stem}.dist-info/entry_points.txt`, '[console_scripts]\nansible-playbook = fake_ansible:main\n'],
      ] as const
      const record = [...files.map(([name]) => name), `${stem}.dist-info/RECORD`].map(name => `${name},,\n`)
      const path = `fake-ansible/${stem}-py3-none-any.whl`
      await wheels.add(path, zipOf([...files, [`${stem}.dist-info/RECORD`, record.join('')]]))
      await wheels.add(`${path}.metadata`, Buffer.from(metadata))
      await wheels.add(`pip/${pip!.split('/').at(-1)}`, await readFile(pip!))
      await wheels.add(`pip/${pip!.split('/').at(-1)}.metadata`, Buffer.from('Name: pip\n'))
      await writeFile(join(folder, 'requirements.txt'), 'fake-ansible==1.0\n')
      const log = join(folder, 'log')
      const tools = join(folder, 'tools')
      const { version } = await findPython(['3.11', '3.12', '3.13', '3.10'], signal)
      const step = controlHostStep({
        deployment: {
          tools: {},
          python: {
            versions: [version.replace(/\.\d+$/, '')],
            requirements: 'requirements.txt',
          },
        } as never,
        files: { store: wheels.store, entries: new Map() },
        wheels,
        tree: folder,
        requirements: null,
        folder: tools,
        program: () => ({ log, running: join(folder, 'running.json'), silenceMs: 0 }),
      })
      expect(step.needs).not.toContain('serve')
      await step.apply(testContext())
      expect(await step.check(testContext())).toBe('done')
      expect(await readdir(tools)).toEqual(['complete.json', 'venv'])
      const text = await readFile(log, 'utf8')
      expect(text.match(/--no-index --find-links /g)).toHaveLength(2)
      expect(text).toContain(' --no-deps --require-hashes ')
      expect(text).not.toMatch(/--(?:extra-)?index-url|--trusted-host|http:/)
    })
  },
)
