import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { Redactor } from '../../src/install/redaction.ts'
import { convertInventory } from '../../src/inventory/convert.ts'
import { diffText } from '../../src/values/diff-text.ts'
import { mergeValues } from '../../src/values/merge.ts'
import { settingLines } from '../../src/values/set.ts'
import { secretNames } from '../core/support/secret-names.ts'

/** No output shows a secret that only its name reveals, in any spelling of that name. */

const secret = 'hunter2'

/** How a YAML file may hold the secret, given its name. */
const places: [string, (name: string) => string][] = [
  ['plain', name => `${name}: ${secret}\n`],
  ['quoted', name => `${JSON.stringify(name)}: '${secret}'\n`],
  ['deeper', name => `db:\n  a: 1\n  ${name}: ${secret}\n`],
  ['in a list', name => `list:\n- a: 1\n  ${name}: ${secret}\n- - ${name}: ${secret}\n`],
  ['a map below the name', name => `${name}:\n  a: 1\n  b:\n    c: ${secret}\n`],
  ['a list below the name', name => `${name}:\n- a\n- ${secret}\n- b: ${secret}\n`],
  ['a text below the name', name => `${name}: |\n  first: line\n  b: ${secret}\n\n  ${secret}\nplain: x\n`],
  ['a map on one line', name => `user: {a: 1, ${JSON.stringify(name)}: ${secret}}\n`],
  ['an environment variable', name => `env:\n  - name: ${JSON.stringify(name)}\n    value: ${secret}\n`],
  [
    'an environment variable, value first',
    name => `env:\n  - value: ${secret}\n    name: ${JSON.stringify(name)}\n`,
  ],
]

const random = (text: string) => text.replaceAll(secret, 'x')

describe.each(places)('%s', (_, write) => {
  it('in no difference of two files', () => {
    for (const name of secretNames) {
      const text = write(name)
      for (const before of ['', random(text), `${text}${text}`])
        expect(diffText(before, text), name).not.toContain(secret)
      for (const comment of [text.replace(/^/gm, '# '), text.replace(/^/gm, '#')])
        expect(diffText('', comment), name).not.toContain(secret)
    }
  })

  it('in no list of settings', () => {
    for (const name of secretNames) {
      const lines = settingLines({ values: write(name) })
      expect(lines.length, name).toBeGreaterThan(0)
      expect(lines.join('\n'), name).not.toContain(secret)
    }
  })

  it('in no conflict of a merge', () => {
    for (const name of secretNames) {
      const wrapped = (text: string) => `a: 1\n${text}`
      const text = write(name)
      const { conflicts } = mergeValues({
        name: 'values.yaml',
        base: wrapped(random(text)),
        ours: wrapped(text),
        theirs: wrapped(text.replaceAll(secret, 'y')),
      })
      expect(conflicts.length, name).toBeGreaterThan(0)
      expect(JSON.stringify(conflicts), name).not.toContain(secret)
    }
  })

  it('in no support bundle: YAML, JSON and YAML that cannot be parsed', () => {
    const redactor = new Redactor([])
    for (const name of secretNames) {
      const text = write(name)
      expect(redactor.document(text, 'yaml'), name).not.toContain(secret)
      expect(redactor.document(`${text}broken: [\n`, 'yaml'), name).not.toContain(secret)
    }
  })
})

it('in no log of a support bundle', () => {
  const redactor = new Redactor([])
  for (const name of secretNames.filter(name => !name.includes(' ')))
    for (const line of [
      `${name}=${secret}`,
      `export ${name}="${secret}"`,
      `set ${name}: ${secret}, then go`,
      `--${name} ${secret}`,
      `--${name}=${secret}`,
      `{"a": 1, "${name}": "${secret}", "b": 2}`,
      JSON.stringify(JSON.stringify({ [name]: secret })),
      `msg="${name}='${secret}'"`,
      JSON.stringify({ env: [{ name, value: secret }] }),
    ]) {
      const redacted = line.startsWith('{')
        ? JSON.stringify(redactor.value(JSON.parse(line)))
        : redactor.text(line)
      expect(redacted, line).not.toContain(secret)
    }
})

it.each([
  `Authorization: Bearer ${secret}${secret}`,
  `authorization: Digest username="a", response="${secret}"`,
  `Cookie: a=1; session=${secret}; b=${secret}`,
  `set-cookie: id=${secret}; Path=/`,
  `"Authorization": ["Basic ${secret}"]`,
])('in no header: %s', line => {
  expect(new Redactor([]).text(line)).not.toContain(secret)
})

it('in no note about a converted inventory, which lists each as a secret', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-secret-names-'))
  try {
    const names = secretNames.filter(name => /^\w+$/.test(name))
    const host = { ansible_host: '10.0.0.1', ...Object.fromEntries(names.map(name => [name, secret])) }
    const inventory = join(folder, 'hosts.yaml')
    await writeFile(inventory, stringify({ kube_control_plane: { hosts: { a: host } } }))
    const { answers, notes } = await convertInventory({ inventory })
    expect(JSON.stringify({ answers, notes })).not.toContain(secret)
    const listed = notes.filter(note => note.includes('secrets are not copied')).join('\n')
    for (const name of names) expect(listed).toContain(name)
  } finally {
    await rm(folder, { recursive: true })
  }
})
