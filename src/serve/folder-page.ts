import type { FolderEntry } from './file-table.ts'

/** A folder as plain HTML: names, sizes in bytes, nothing that needs a script. `path` is decoded, without a slash at its end. */
export function folderHtml(path: string, entries: readonly FolderEntry[]): string {
  const rows = entries.map(({ name, type, size }) => {
    const slash = type === 'folder' ? '/' : ''
    // "./" keeps a name with a colon from being read as a scheme
    const link = `<a href="./${encodeURIComponent(name)}${slash}">${escapeHtml(name)}${slash}</a>`
    return `<tr><td>${link}</td><td>${size ?? ''}</td></tr>`
  })
  const title = escapeHtml(`${path}/`)
  const up = path === '' ? [] : ['<tr><td><a href="../">../</a></td><td></td></tr>']
  return [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8"><title>${title}</title>`,
    '<style>td{padding:0 2em 0 0;font-family:monospace}td+td{text-align:right}</style></head>',
    `<body><h1>${title}</h1><table>`,
    ...up,
    ...rows,
    '</table></body></html>',
    '',
  ].join('\n')
}

export function folderJson(path: string, entries: readonly FolderEntry[]): string {
  return `${JSON.stringify({ path: `${path}/`, entries })}\n`
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  }
  return text.replace(/[&<>"']/g, character => entities[character] ?? character)
}
