import { describe, expect, it } from 'vitest'
import { siteFileSchema } from '../../src/inventory/schema.ts'
import { parseSiteFile } from '../../src/inventory/site-file.ts'
import { type SiteAnswers, starterSite } from '../../src/inventory/starter.ts'

const node = { name: 'm', address: '10.0.0.1', roles: ['control-plane', 'worker', 'nfs'] }
const full: SiteAnswers = {
  environment: 'stage',
  externalIP: '10.0.0.100',
  nfs: { server: 'm', path: '/srv', networks: ['10.0.0.0/24'], storageClass: 'fast' },
  ssh: { user: 'ubuntu', port: 2222, privateKey: '/root/key', password: true, sudo: 'password' },
  nodes: [node, { name: 'g', address: 'fd00::2', roles: ['worker', 'gpu'], user: 'root', port: 22 }],
  versions: { kubernetes: 'v1.28.6' },
}
/** Sets keys as a person does: removes a # that has no space after it. */
const set = (text: string, wanted: (line: string) => boolean) =>
  text
    .split('\n')
    .map(line => (/^\s*#[A-Za-z]/.test(line) && wanted(line) ? line.replace('#', '') : line))
    .join('\n')

describe('starterSite', () => {
  it.each([
    ['no answers', { nodes: [] }],
    ['one node', { nodes: [{ ...node, roles: ['control-plane', 'worker'] }] }],
    ['a part of every section', { ...full, nfs: { server: 'm' }, ssh: { port: 2222 } }],
    ['all answers', full],
  ] satisfies [string, SiteAnswers][])('with %s is valid and has every key', (_, answers) => {
    const text = starterSite(answers)
    const site = parseSiteFile(text, 'site.yaml')
    for (const [key, schema] of Object.entries(siteFileSchema.shape)) {
      expect(text).toMatch(new RegExp(`^#?${key}:`, 'm'))
      const inner = key !== 'nodes' && 'unwrap' in schema ? (schema.unwrap() as { shape?: object }) : {}
      for (const name of Object.keys(inner.shape ?? {}))
        expect(text, `${key}.${name}`).toMatch(new RegExp(`^  #?${name}:`, 'm'))
    }
    if (answers.nodes.length > 0) expect(site).toMatchObject(answers)
    else expect(site.nodes).toHaveLength(1)
  })

  it('has examples that are valid as they are', () => {
    const text = starterSite({ nodes: [] })
    const all = parseSiteFile(
      set(text, line => !/kubeconfig:/.test(line)),
      'site.yaml',
    )
    expect(all).toMatchObject({
      externalIP: '10.0.0.100',
      nfs: { path: '/nfs-data/astrago' },
      kubespray: { kube_network_plugin_mtu: 1450 },
    })
    const existing = set(text, line => /kubeconfig:|switches:|^ {2}#kubernetes: true/.test(line))
    expect(
      parseSiteFile(existing.replace('  kubernetes: true', '  kubernetes: false'), 'site.yaml').kubeconfig,
    ).toBe('/root/.kube/config')
  })

  it('has a comment above every key', () => {
    const lines = starterSite({ nodes: [] }).split('\n')
    const bare = lines.filter(
      (line, i) =>
        /^\s*#?[A-Za-z]+:/.test(line) && !/^\s*#/.test(lines[i - 1] ?? '') && !/versions/.test(line),
    )
    expect(bare).toEqual([])
  })

  it('treats every answer as data', () => {
    const odd = 'x\nkubeconfig: /etc/shadow # {{ y }}'
    for (const answers of [
      { nodes: [node], environment: odd },
      { nodes: [{ ...node, name: odd }] },
      { nodes: [node], ssh: { privateKey: odd } },
    ])
      expect(() => parseSiteFile(starterSite(answers), 'site.yaml')).toThrow(
        expect.objectContaining({ code: 'SITE_INVALID' }),
      )
  })
})
