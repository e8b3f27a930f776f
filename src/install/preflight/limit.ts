import { AirgapError } from '../../core/errors.ts'
import { groupRoles } from '../../inventory/inventory-names.ts'
import type { NodeRole, SiteNode } from '../../inventory/schema.ts'

const groups: Record<string, readonly NodeRole[]> = groupRoles

/** Selects machines by a pattern of ansible: names and groups with commas, `!` before those to leave out. Throws USAGE. */
export function limitedNodes(nodes: readonly SiteNode[], limit: string | undefined): SiteNode[] {
  if (limit === undefined) return [...nodes]
  const matches = (word: string) => (node: SiteNode) =>
    Object.hasOwn(groups, word) ? groups[word]!.some(role => node.roles.includes(role)) : node.name === word
  const words = limit.split(',').filter(Boolean)
  const unknown = words
    .map(word => word.replace(/^!/, ''))
    .find(word => !Object.hasOwn(groups, word) && !nodes.some(({ name }) => name === word))
  if (unknown !== undefined)
    throw new AirgapError('USAGE', 'site.yaml has no such machine or group', {
      item: unknown.slice(0, 100),
      likely: `it has ${nodes
        .slice(0, 20)
        .map(({ name }) => name)
        .join(', ')}, and the groups ${Object.keys(groups).join(', ')}`,
      next: 'correct --limit',
    })
  const found = nodes.filter(
    node =>
      words.some(word => !word.startsWith('!') && matches(word)(node)) &&
      !words.some(word => word.startsWith('!') && matches(word.slice(1))(node)),
  )
  if (found.length > 0) return found
  throw new AirgapError('USAGE', '--limit leaves no machine', {
    item: limit.slice(0, 200),
    next: 'correct --limit',
  })
}
