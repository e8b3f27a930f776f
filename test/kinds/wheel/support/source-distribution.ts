import { gzipSync } from 'node:zlib'
import { Header } from 'tar'
import { normalizeProject } from '../../../../src/kinds/wheel/requirement.ts'
import type { ServedFile } from './package-index.ts'

/** A source distribution with static metadata that pip can build: one empty module. `pyproject` is its whole text; undefined: none. */
export function sourceDistribution(
  { name, version, requires = [] }: { name: string; version: string; requires?: string[] },
  pyproject: string | undefined,
): ServedFile {
  const stem = `${name}-${version}`
  const metadata = [
    'Metadata-Version: 2.2',
    `Name: ${name}`,
    `Version: ${version}`,
    ...requires.map(text => `Requires-Dist: ${text}`),
    '',
  ].join('\n')
  const files: [string, string][] = [
    [`${stem}/PKG-INFO`, metadata],
    [`${stem}/vendored/pyproject.toml`, 'not = toml ['],
    [`${stem}/${name.replaceAll('-', '_')}.py`, ''],
    [
      `${stem}/setup.cfg`,
      `[metadata]\nname = ${name}\nversion = ${version}\n[options]\npy_modules = ${name.replaceAll('-', '_')}\n`,
    ],
    [`${stem}/setup.py`, 'from setuptools import setup\nsetup()\n'],
  ]
  if (pyproject !== undefined) files.push([`${stem}/pyproject.toml`, pyproject])
  const blocks = files.flatMap(([path, text]) => {
    const content = Buffer.from(text)
    const header = new Header({ path, mode: 0o644, size: content.length, type: 'File', mtime: new Date(0) })
    header.encode()
    return [header.block!, content, Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  const bytes = gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]))
  return { filename: `${stem}.tar.gz`, bytes, project: normalizeProject(name), release: { name, version } }
}
