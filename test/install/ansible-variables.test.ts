import { globSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { readTree } from '../../src/content/tree.ts'
import { ansibleVariable } from '../../src/install/ansible-variables.ts'
import { contentOf, sampleTree } from '../site/support/sample-site.ts'
import { tempFolder } from './support.ts'

const home = join(import.meta.dirname, '../..')
const role = 'ansible/roles/driver/defaults/main.yml'
const groupVars = 'inventory/group_vars'

async function tree(files: Record<string, string>, site: Record<string, unknown> = {}) {
  const store = await contentOf(sampleTree('tree/a', files))
  const folder = await tempFolder()
  const options = {
    site,
    store,
    folder,
    inventory: 'inventory',
    groups: ['gpu_node', 'all'],
    entries: await readTree(store, store.roots()),
    playbook: 'ansible/driver.yml',
  }
  return {
    value: (name = 'branch') => ansibleVariable(name, options),
    async edit(path: string, text: string) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), text)
    },
  }
}

describe('ansibleVariable', () => {
  it('follows ansible’s precedence: site.yaml, the inner group, all, the defaults of roles', async () => {
    const files: Record<string, string> = { [role]: 'branch: "535"\n' }
    expect(await (await tree(files)).value()).toBe('535')
    files[`${groupVars}/all/a.yml`] = 'branch: 545\n'
    expect(await (await tree(files)).value()).toBe('545')
    files[`${groupVars}/all/b.yml`] = 'branch: 550\nother: 1\n'
    expect(await (await tree(files)).value()).toBe('550')
    files[`${groupVars}/gpu_node.yml`] = '# nothing\n'
    expect(await (await tree(files)).value()).toBe('550')
    files[`${groupVars}/gpu_node.yml`] = 'branch: "560" # ours\n'
    expect(await (await tree(files)).value()).toBe('560')
    expect(await (await tree(files, { branch: 570 })).value()).toBe('570')
  })

  it('reads a file that was edited where the tree is laid down', async () => {
    const own = await tree({ [role]: 'branch: "535"\n', [`${groupVars}/all/a.yml`]: 'x: 1\n' })
    expect(await own.value()).toBe('535')
    await own.edit(`${groupVars}/all/a.yml`, 'branch: "550"\n')
    expect(await own.value()).toBe('550')
  })

  it.each<[string, Record<string, string>]>([
    ['is set nowhere', { [role]: 'other: 1\n' }],
    ['is a template', { [role]: 'branch: "{{ x }}"\n' }],
    ['is a list', { [role]: 'branch: [1]\n' }],
    ['stands in a file that is not YAML', { [role]: 'branch: "535\n' }],
    ['stands in a file of another group', { [`${groupVars}/gpu_node_2.yml`]: 'branch: "535"\n' }],
    ['is the name of something else', { [role]: 'a: 1\n', [`${groupVars}/all/x.txt`]: 'branch: 1\n' }],
  ])('is undefined where the variable %s', async (_, files) => {
    expect(await (await tree(files)).value()).toBeUndefined()
    expect(await (await tree(files)).value('constructor')).toBeUndefined()
  })

  it('knows the branch of the driver and the version of Kubernetes in the tree that is shipped', async () => {
    const from = join(home, 'bundle/astrago')
    const files: Record<string, string> = {}
    for (const path of globSync('**/*.yml', { cwd: from }))
      files[path] = await readFile(join(from, path), 'utf8')
    const store = await contentOf(sampleTree('tree/astrago', files))
    const entries = await readTree(store, store.roots())
    const of = (name: string, groups: string[]) =>
      ansibleVariable(name, {
        site: {},
        store,
        entries,
        groups,
        folder: '/nonexistent',
        inventory: 'kubespray/inventory',
        playbook: 'ansible/gpu-driver.yml',
      })
    const { nvidia_driver_branch: branch } = parse(files['ansible/roles/nvidia_driver/defaults/main.yml']!)
    expect(await of('nvidia_driver_branch', ['gpu_node', 'all'])).toBe(branch)
    expect(await of('kube_version', ['k8s_cluster', 'all'])).toMatch(/^v1\.\d+\.\d+$/)
  })
})
