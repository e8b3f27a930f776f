import { canonicalJson } from '../../core/canonical-json.ts'
import {
  documentOf,
  type HttpMount,
  type ListedItem,
  type MountedTree,
  mountOfTree,
  type SiteMount,
} from '../mount.ts'
import { uniteLists } from '../united-lists.ts'
import { pipConf, readIndex, siteIndex } from './site-index.ts'

/** A Python package index under /pypi/simple; its pages are generated on the site. */
export const wheelMount: HttpMount = {
  serves: tree => tree === 'pypi',
  merge: (path, texts) => (path === '/pypi/index.json' ? mergeIndexes(path, texts) : undefined),
  async mount({ trees }, { now, httpServer, caFile }) {
    const mounts: SiteMount[] = []
    for (const tree of trees) {
      const pages = tree.entries.has('index.json') ? siteIndex(await tree.text('index.json')) : []
      const documents = [...pages].map(
        ([path, forms]) =>
          [path, forms.map(({ mediaType, text }) => documentOf(text, mediaType, now))] as const,
      )
      mounts.push({ ...mountOfTree(tree, { now }), pages: new Map(documents) })
    }
    if (mounts.length === 0) return { mounts, clients: [], lists: [] }
    const lists = trees.map(tree => ({ kind: 'wheel', name: tree.name, items: () => distributionsOf(tree) }))
    return {
      mounts,
      lists,
      clients: [{ kind: 'pip-conf', path: 'etc/pip.conf', text: pipConf(httpServer, caFile) }],
    }
  },
}

function mergeIndexes(path: string, texts: readonly Buffer[]): Buffer {
  const entries = texts.map(text =>
    readIndex(text).map(file => ({
      key: [file.project, file.filename].join('\u0000'),
      content: file.sha256,
      text: canonicalJson(file),
    })),
  )
  return Buffer.from(`{"files":[${uniteLists(path, entries).join(',')}]}\n`)
}

async function distributionsOf(tree: MountedTree): Promise<ListedItem[]> {
  if (!tree.entries.has('index.json')) return []
  return readIndex(await tree.text('index.json')).map(({ project, version, filename, size, sha256 }) => ({
    name: project,
    version,
    size,
    digest: `sha256:${sha256}` as const,
    path: `/${tree.name}/${project}/${filename}`,
    about: filename,
  }))
}
