import { expanded, groupOf, hostOf, type RawInventory } from './raw-inventory.ts'
import { invalid, shown } from './read-source.ts'

/** Reads an INI inventory: sections, ranges, KEY=VALUE. https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html */
export function fromIni(text: string, file: string): RawInventory {
  const raw: RawInventory = { hosts: new Map(), groups: new Map() }
  let section = { name: 'ungrouped', kind: 'hosts' }
  text.split(/\r?\n/).forEach((whole, i) => {
    const place = `${file}:${i + 1}`
    const line = whole.trim()
    if (line === '' || line.startsWith('#') || line.startsWith(';')) return
    if (line.startsWith('[')) {
      const [, name, kind = 'hosts'] =
        /^\[([^\]:\s]+)(?::(hosts|children|vars))?\]\s*(?:[#;].*)?$/.exec(line) ?? []
      if (name === undefined)
        throw invalid(place, 'not a section header such as [kube_node] or [kube_node:vars]')
      section = { name, kind }
      groupOf(raw, name, file)
      return
    }
    const group = groupOf(raw, section.name, file)
    if (section.kind === 'vars') {
      const at = line.indexOf('=')
      if (at < 1) throw invalid(place, `not a variable: [${section.name}:vars] has lines NAME=VALUE`)
      group.variables.set(line.slice(0, at).trim(), unquoted(line.slice(at + 1).trim()))
      return
    }
    const [pattern = '', ...pairs] = words(line, place)
    if (section.kind === 'children') {
      group.children.add(pattern)
      groupOf(raw, pattern, file)
      return
    }
    // not quoted in the message: it may be a secret
    if (pattern.includes('='))
      throw invalid(
        place,
        'a variable without a machine before it; variables of a group belong under [GROUP:vars]',
      )
    if (/[{}<>]/.test(pattern)) throw invalid(place, `not a host: ${shown(pattern)}`)
    const { name, port } = hostAndPort(pattern)
    for (const host of expanded(name, place)) {
      group.hosts.add(host)
      const own = hostOf(raw, host, { place, file }).variables
      if (port !== undefined) own.set('ansible_port', port)
      for (const pair of pairs) {
        const at = pair.indexOf('=')
        if (at < 1)
          throw invalid(place, `only NAME=VALUE may follow ${shown(host)}; quote values with spaces`)
        own.set(pair.slice(0, at), pair.slice(at + 1))
      }
    }
  })
  return raw
}

/** Splits a line into words as a shell does: quotes keep spaces, # starts a comment. */
function words(line: string, place: string): string[] {
  const found: string[] = []
  let word: string | undefined
  let quote = ''
  for (const character of line) {
    if (quote !== '') {
      if (character === quote) quote = ''
      else word += character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (/\s/.test(character)) {
      if (word !== undefined) found.push(word)
      word = undefined
    } else if (character === '#' && word === undefined) {
      return found
    } else word = (word ?? '') + character
  }
  if (quote !== '') throw invalid(place, `the quote ${quote} is not closed`)
  return word === undefined ? found : [...found, word]
}

function unquoted(text: string): string {
  return /^(["'])(.*)\1$/.exec(text)?.[2] ?? text
}

/** `node[1:3]:22`: a colon in brackets belongs to a range. */
function hostAndPort(pattern: string): { name: string; port: string | undefined } {
  const [, port] = /:(\d{1,5})$/.exec(pattern) ?? []
  const name = port === undefined ? pattern : pattern.slice(0, -port.length - 1)
  if (name === '' || name.replace(/\[[^[\]]*\]/g, '').includes(':')) return { name: pattern, port: undefined }
  return { name, port }
}
