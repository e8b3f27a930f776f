import type { FolderEntry } from './file-table.ts'

export interface Folder {
  /** decoded, with a slash at the end */
  path: string
  children: readonly FolderEntry[]
}

export function jsonListing({ path, children }: Folder): string {
  return JSON.stringify({ path, entries: children })
}

/** Returns a page for people and for `wget -r`: names, and sizes in bytes. */
export function htmlListing({ path, children }: Folder): string {
  const title = escapeHtml(path)
  const up = path === '/' ? '' : '<tr><td><a href="../">../</a></td><td></td></tr>\n'
  const rows = children.map(child => {
    const slash = child.type === 'folder' ? '/' : ''
    // "./": a name with a colon would be parsed as a scheme
    const link = `./${encodeURIComponent(child.name)}${slash}`
    const size = child.size === undefined ? '' : String(child.size)
    return `<tr><td><a href="${link}">${escapeHtml(child.name)}${slash}</a></td><td align="right">${size}</td></tr>\n`
  })
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>
<body><h1>${title}</h1>
<table><tr><th align="left">name</th><th align="right">bytes</th></tr>
${up}${rows.join('')}</table></body></html>
`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
