import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { configureStep } from '../../../src/install/steps/configure.ts'
import { layDownStep } from '../../../src/install/steps/lay-down.ts'
import { undoConfigure } from '../../../src/install/steps/undo-configure.ts'
import { settingsOf, type ValueTree } from '../../../src/values/set.ts'
import { contentOf, sampleTree } from '../../site/support/sample-site.ts'
import { tempFolder, testContext } from '../support.ts'

const v1 =
  'offline:\n  registry: ""\n  httpServer: ""\nharbor:\n  enabled: true # all teams\nkubernetes: "1.31"\none: &o 1\ntwo: *o\n'
const v2 = v1.replace('true', 'auto').replace('"1.31"', '"1.33"').concat('fresh: 1\n')
const variables = 'inventory/group_vars/all/offline.yml'

describe('configure on a host for which the bundles have no repository', () => {
  const repository = (name: string) =>
    ({ kind: 'apt-sources', repository: name, path: `etc/${name}.sources`, text: '' }) as const
  const files = [repository('debian-13'), repository('ubuntu-22.04')]

  it.each([
    ['names those that exist', 0, true],
    ['is silent where one fits', 1, false],
  ])('%s', async (_, count, noted) => {
    const folder = await tempFolder()
    const notes: string[] = []
    const context = testContext()
    const step = configureStep({
      trees: [],
      folder: join(folder, 'deploy'),
      environment: 'prod',
      nodeRoot: join(folder, 'root'),
      values: settingsOf({}),
      variables: new Map(),
      clients: async () => files,
      ca: async () => undefined,
      selectForNode: async all => all.slice(0, count),
      clientsFolder: join(folder, 'clients'),
      record: join(folder, 'written.json'),
    })
    const text = 'no package sources for this host'
    const lines = (await step.describe(context)).filter(line => line.includes(text))
    expect(lines).toEqual(noted ? [expect.stringContaining('(debian-13, ubuntu-22.04)')] : [])
    const progress = { ...context.progress, note: (line: string) => void notes.push(line) }
    await step.apply({ ...context, progress })
    expect(notes.some(line => line.includes(text))).toBe(noted)
  })
})

/** `ca` is what the servers make: before they run for the first time, there is none. */
async function site(servers: { ca?: string } = {}) {
  const folder = await tempFolder()
  const file = join(folder, 'deploy/a/environments/prod/values.yaml')
  const steps = async (values: string, more: ValueTree) => {
    const files = { 'environments/prod/values.yaml': values, [variables]: '# none\n' }
    const store = await contentOf(sampleTree('tree/a', files))
    const trees = [{ name: 'a', store, roots: store.roots() }]
    const configure = configureStep({
      trees,
      folder: join(folder, 'deploy'),
      environment: 'prod',
      nodeRoot: undefined,
      values: settingsOf(more, { registry: 'r:1', httpServer: 'http://r:2' }),
      variables: new Map([[variables, settingsOf({ registry_host: 'r:1' })]]),
      clients: async () => [],
      ca: async () => servers.ca,
      selectForNode: async all => all,
      clientsFolder: join(folder, 'clients'),
      record: join(folder, 'written.json'),
    })
    return [layDownStep({ trees, folder: join(folder, 'deploy') }), configure] as const
  }
  return {
    steps,
    file,
    text: () => readFile(file, 'utf8'),
    async plan(values: string, more: ValueTree) {
      const [, configure] = await steps(values, more)
      return {
        lines: (await configure.describe(testContext())).join('\n'),
        check: await configure.check(testContext()),
      }
    },
    async apply(values: string, more: ValueTree) {
      for (const step of await steps(values, more)) {
        await step.describe(testContext())
        await step.apply(testContext())
        expect(await step.check(testContext())).toBe('done')
      }
      return await readFile(file, 'utf8')
    },
    async undo(more: ValueTree) {
      await undoConfigure({
        folder: join(folder, 'deploy'),
        record: join(folder, 'written.json'),
        settings: settingsOf(more, { registry: 'r:1', httpServer: 'http://r:2' }),
      }).undo(testContext())
      expect(await readFile(join(folder, 'deploy/a', variables), 'utf8')).toBe('# none\n')
      return await readFile(file, 'utf8')
    },
  }
}

describe('configure', () => {
  const more = { harbor: { enabled: false }, kubernetes: '1.32', externalIP: '10.0.0.9' }
  const addresses = (text: string) =>
    text.replace('registry: ""', 'registry: "r:1"').replace('httpServer: ""', 'httpServer: "http://r:2"')

  it('shows, reverts and rolls back a setting that was removed from site.yaml', async () => {
    const { apply, plan, undo } = await site()
    expect(await apply(v1, more)).toContain('enabled: false # all teams')
    expect(await plan(v1, {})).toMatchObject({
      lines: expect.stringContaining('enabled: true # all teams'),
      check: 'pending',
    })
    expect(await apply(v1, {})).toBe(addresses(v1))
    expect(await apply(v1, more)).toContain('kubernetes: "1.32"')
    expect(await apply(v1, { harbor: { enabled: false } })).toBe(addresses(v1).replace('true', 'false'))
    expect(await apply(v1, {})).toBe(addresses(v1))
    expect(await undo({})).toBe(v1)
  })

  it('rolls back where site.yaml has changed since it was applied', async () => {
    const { apply, undo } = await site()
    await apply(v1, more)
    expect(await undo({})).toBe(v1)
  })

  it('with a new version: restores its values, not those of the old one', async () => {
    const { apply, undo } = await site()
    await apply(v1, more)
    expect(await apply(v2, more)).toContain('enabled: false')
    expect(await apply(v2, {})).toBe(addresses(v2))
    expect(await undo({})).toBe(v2)
  })

  it('restores the values of a new version that comes with the removal', async () => {
    const { apply, undo } = await site()
    await apply(v1, more)
    expect(await apply(v2, {})).toBe(addresses(v2))
    expect(await undo({})).toBe(v2)
  })

  it('writes the CA that the servers made after the plan, replaces it, and takes it back', async () => {
    const pem = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`
    const servers: { ca?: string } = {}
    const { steps, apply, plan, text, undo } = await site(servers)
    const [layDown, configure] = await steps(v1, {})
    await layDown.apply(testContext())
    await configure.describe(testContext())
    servers.ca = pem('MIIBone=')
    await configure.apply(testContext())
    const caOf = (values: string) => parse(values).offline.caCertificate
    expect(caOf(await text())).toBe(servers.ca)
    expect(await configure.check(testContext())).toBe('done')
    servers.ca = pem('MIIBtwo=')
    expect(await plan(v1, {})).toMatchObject({ check: 'pending' })
    expect(caOf(await apply(v1, {}))).toBe(servers.ca)
    delete servers.ca
    expect(await apply(v1, {})).toBe(addresses(v1))
    servers.ca = pem('MIIBone=')
    await apply(v1, {})
    expect(await undo({})).toBe(v1)
  })

  it('keeps the old version of a file that cannot be merged until it can', async () => {
    const { apply, file, text } = await site()
    await apply(v1, more)
    const apart = (all: string) => all.replace('one: &o 1\ntwo: *o\n', 'one: 9\ntwo: 1\n')
    const own = apart(await text())
    await writeFile(file, own)
    await apply(v2, more)
    expect(await text()).toBe(own)
    const v3 = v2.replace('fresh: 1', 'fresh: 3')
    expect(await apply(v3, {})).toBe(apart(addresses(v1)))
    await writeFile(file, apart(addresses(v3)))
    expect(await apply(v3.replace('fresh: 3', 'more: 4'), {})).toBe(apart(addresses(v3)))
  })
})
