import { parseReference, type Reference } from '../../core/reference.ts'
import { documentOf, type HttpMount, type RegistryMount } from '../mount.ts'
import { chartRepository } from './site-repository.ts'

/** A classic chart repository under /charts, with every chart of the bundles. */
export const chartHttpMount: HttpMount = {
  serves: () => false,
  merge: () => undefined,
  async mount({ roots }, { store, now }) {
    if (roots.length === 0) return { mounts: [], clients: [], lists: [] }
    const { entries, index, charts } = await chartRepository(store, { roots, generated: now })
    const generated = new Map([['index.yaml', documentOf(index, 'application/yaml', now)]])
    const lists = [{ kind: 'chart', name: 'charts', items: async () => charts }]
    return { mounts: [{ prefix: '/charts', entries, generated }], clients: [], lists }
  },
}

/** `charts/NAME:TAG` for a chart of a classic repository, HOST/PATH/NAME:TAG for one of a registry. */
export const chartRegistryMount: RegistryMount = {
  nameOf(refName) {
    const classic = /^charts\/([^/]+)$/.test(refName)
    // the host only makes it a reference that can be parsed
    const reference: Reference = parseReference(classic ? `charts.invalid/${refName}` : refName)
    const { repository, tag = '' } = reference
    const chart = { name: repository.split('/').at(-1) ?? '', tag }
    return { reference: classic ? undefined : reference, chart }
  },
}
