import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import type { Mistakes } from '../document/mistakes.ts'
import type { Positioned } from '../document/positioned.ts'
import type { ManifestDocument } from './schema.ts'

/** Guides are unpacked beside the program: each has a name of its own there, and none is a program. Name → absolute path. */
export function loadGuides(
  { value, at }: Positioned<ManifestDocument>,
  { folder, mistakes }: { folder: string; mistakes: Mistakes },
): Record<string, string> {
  const guides = new Map<string, string>()
  value.guides.forEach((written, i) => {
    const name = basename(written)
    const path = resolve(folder, written)
    const fail = (what: string, next: string) =>
      mistakes.add(new AirgapError('MANIFEST_INVALID', what, { item: at(['guides', i]), next }))
    if (!/^[A-Za-z0-9][\w.-]*\.(?:md|txt|html|pdf)$/.test(name))
      fail(
        `not the name of a guide: ${name}`,
        'use letters, digits and . _ -, with the ending .md, .txt, .html or .pdf',
      )
    else if (guides.has(name)) fail(`two guides are called ${name}`, 'rename one of them')
    else if (!existsSync(path))
      fail(`no such file: ${path}`, 'correct the path; it is relative to the manifest')
    else guides.set(name, path)
  })
  return Object.fromEntries(guides)
}
