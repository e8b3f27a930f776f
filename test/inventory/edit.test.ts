import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { withNode, withoutNode } from '../../src/inventory/edit.ts'
import { parseSiteFile } from '../../src/inventory/site-file.ts'
import { starterSite } from '../../src/inventory/starter.ts'

const gpu = { name: 'gpu-1', address: '10.0.0.21', roles: ['worker', 'gpu'], user: 'ubuntu', port: 2222 }
const head = '# ours\napiVersion:   airgap-site/v1   # as it is\n\n'
const tail = '\n  # kept\n\n# after\nssh: { user: ubuntu }   # two\n'
const styles: Record<string, string> = {
  'one line each': `${head}nodes:
  # the first
  - {name: m, address: 10.0.0.1, roles: [control-plane, worker]} # says more
  # the second
  - {name: w, address: 10.0.0.2, roles: [worker]}${tail}`,
  'one line each, with spaces, not indented': `${head}nodes:
# the first
- { name: m, address: 10.0.0.1, roles: [control-plane, worker] }
- { name: w, address: 10.0.0.2, roles: [ worker ] } # last${tail}`,
  blocks: `${head}nodes:
    - name: m
      address: 10.0.0.1
      # inside
      roles: [control-plane, worker]

    - name: w
      address: "10.0.0.2"
      roles:
        - worker # and no more${tail}`,
  'without a line end at the end': `${head}nodes:\n- {name: m, address: 10.0.0.1, roles: [control-plane, worker]}\n- {name: w, address: 10.0.0.2, roles: [worker]}`,
}
const cases = Object.entries(styles).flatMap(([name, text]) => [
  [name, text] as const,
  [`${name}, CRLF`, text.replaceAll('\n', '\r\n')] as const,
])
const read = (text: string) => parseSiteFile(text, 'site.yaml').nodes

describe('edits of site.yaml', () => {
  it.each(cases)('add a node and change nothing else: %s', (_, text) => {
    const more = withNode(text, gpu)
    expect(read(more)).toEqual([...read(text), gpu])
    const lines = more.split('\n')
    // every previous line is present, in order
    let at = 0
    for (const line of text.split('\n')) {
      const found = lines.findIndex((one, i) => i >= at && one.replace(/\r$/, '') === line.replace(/\r$/, ''))
      expect(found, line).toBeGreaterThanOrEqual(0)
      at = found + 1
    }
    expect(withoutNode(more, 2).trimEnd()).toBe(text.trimEnd())
  })

  it.each(cases)('remove a node and keep comments: %s', (_, text) => {
    const less = withoutNode(text, 1)
    expect(read(less).map(({ name }) => name)).toEqual(['m'])
    for (const comment of text.match(/^\s*# .*$/gm) ?? []) expect(less).toContain(comment.trim())
  })

  it('keep the style of the last node', () => {
    expect(withNode(styles['one line each']!, gpu)).toContain(
      '\n  - {name: gpu-1, address: 10.0.0.21, roles: [worker, gpu], user: ubuntu, port: 2222}\n',
    )
    expect(withNode(styles['blocks']!, gpu)).toContain(
      '\n    - name: gpu-1\n      address: 10.0.0.21\n      roles: [worker, gpu]\n',
    )
  })

  it('work on nodes in a flow list', () => {
    const text = `${head}nodes: [{name: m, address: 10.0.0.1, roles: [control-plane, worker]}, {name: w, address: 10.0.0.2, roles: [worker]}] # all\n`
    const more = withNode(text, gpu)
    expect(read(more)).toHaveLength(3)
    expect(more).toContain('# all')
    expect(read(withoutNode(text, 1))).toHaveLength(1)
  })

  it('do not remove an anchor that others refer to', () => {
    const text = `${head}nodes:\n  - {name: m, address: 10.0.0.1, roles: [control-plane, worker]}\n  - {name: w, address: 10.0.0.2, roles: &r [worker]}\n  - {name: x, address: 10.0.0.3, roles: *r}\n`
    expect(read(text)).toHaveLength(3)
    // the edit by line succeeds, and checking the result fails
    expect(() => read(withoutNode(text, 1))).toThrow(expect.objectContaining({ code: 'SITE_INVALID' }))
  })

  it('undo each other: adding and removing restores a random text', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/), {
      minLength: 1,
      maxLength: 8,
    })
    fc.assert(
      fc.property(names, fc.nat(), (all, seed) => {
        const nodes = all.map((name, i) => ({
          name,
          address: `10.0.${i}.1`,
          roles: i === 0 ? ['control-plane', 'worker'] : ['worker'],
        }))
        const text = starterSite({ nodes })
        const more = withNode(text, { ...gpu, name: 'gpu-new-one' })
        expect(withoutNode(more, nodes.length)).toBe(text)
        if (nodes.length > 1) {
          const index = 1 + (seed % (nodes.length - 1))
          expect(read(withoutNode(text, index)).map(({ name }) => name)).toEqual(
            all.filter((_, i) => i !== index),
          )
        }
      }),
      { numRuns: 50 },
    )
  })
})
