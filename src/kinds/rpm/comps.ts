import { defined } from '../../core/defined.ts'
import { spansOf } from '../../core/spans.ts'
import type { PackageGroup } from './candidate.ts'
import { strictParser } from './strict-xml.ts'

/** comps.xml: groups and environments. */
export function parseComps(
  text: string,
  { repository, item }: { repository: number; item: string },
): PackageGroup[] {
  const groups: PackageGroup[] = []
  const fragments = groupElements(text).map(({ element }) => element)
  let group: PackageGroup | undefined
  let list: 'mandatory' | 'optional' | undefined
  let attributes: Record<string, string> = {}
  let content = ''
  const parser = strictParser(item, { doctype: 'ignored' })
  parser.on('opentag', tag => {
    content = ''
    attributes = tag.attributes
    if (tag.name === 'group' || tag.name === 'environment') {
      const document = fragments[groups.length] ?? ''
      group = {
        id: '',
        name: '',
        kind: tag.name,
        repository,
        packages: [],
        groups: { mandatory: [], optional: [] },
        document,
      }
    } else if (tag.name === 'grouplist') list = 'mandatory'
    else if (tag.name === 'optionlist') list = 'optional'
  })
  parser.on('text', part => {
    content += part
  })
  parser.on('closetag', ({ name }) => {
    const written = content.trim()
    content = ''
    if (group === undefined) return
    if (name === 'id' && group.id === '') group.id = written
    // translations have xml:lang
    else if (name === 'name' && attributes['xml:lang'] === undefined && group.name === '')
      group.name = written
    else if (name === 'packagereq') group.packages.push(packageOf(written, attributes))
    else if (name === 'groupid' && list !== undefined) group.groups[list].push(written)
    else if (name === 'grouplist' || name === 'optionlist') list = undefined
    else if (name === group.kind) {
      groups.push(group)
      group = undefined
    }
  })
  parser.write(text).close()
  return groups
}

function packageOf(name: string, attributes: Record<string, string>): PackageGroup['packages'][number] {
  const types = ['mandatory', 'default', 'optional', 'conditional'] as const
  const type = types.find(one => one === attributes['type']) ?? 'mandatory'
  const { requires } = attributes
  return { name, type, ...defined({ requires }) }
}

/** The elements of groups and environments, verbatim, in order. */
export function groupElements(text: string): { kind: PackageGroup['kind']; element: string }[] {
  const kinds = ['group', 'environment'] as const
  let rest = 0
  return kinds
    .flatMap(kind => {
      rest = 0
      return spansOf(text, { start: `<${kind}>`, end: `</${kind}>` }).map(element => {
        const at = text.indexOf(element, rest)
        rest = at + element.length
        return { kind, element, at }
      })
    })
    .sort((a, b) => a.at - b.at)
    .map(({ kind, element }) => ({ kind, element }))
}
