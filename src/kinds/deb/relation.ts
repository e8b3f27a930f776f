import { compareVersions } from '../../core/debian-version.ts'
import { AirgapError } from '../../core/errors.ts'

/** One package of a relationship field: Debian policy 7.1. */
export interface Relation {
  name: string
  /** `any`, `native` or an architecture, after the colon */
  qualifier?: string
  operator?: Operator
  version?: string
}

/** `!=` never occurs in a field: it expresses that architectures of a `Multi-Arch: same` package need equal versions */
type Operator = '<<' | '<=' | '=' | '>=' | '>>' | '!='

/** Alternatives of one dependency, in the order of preference. */
export type Alternatives = Relation[]

const relationPattern =
  /^([a-zA-Z0-9][a-zA-Z0-9+._-]*)(?::([a-zA-Z0-9][a-zA-Z0-9-]*))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([0-9A-Za-z][^\s()]*)\s*\))?$/

/**
 * Parses Depends, Provides, Conflicts and similar fields. Throws UPSTREAM_INVALID with `item`.
 * Architecture and profile restrictions (`[amd64]`, `<!nocheck>`) belong to source packages and are refused here.
 */
export function parseRelations(field: string, item: string): Alternatives[] {
  const groups: Alternatives[] = []
  for (const group of field.split(',')) {
    if (group.trim() === '') continue
    groups.push(group.split('|').map(text => parseRelation(text.trim(), item)))
  }
  return groups
}

function parseRelation(text: string, item: string): Relation {
  const match = relationPattern.exec(text)
  if (!match) {
    throw new AirgapError(
      'UPSTREAM_INVALID',
      `not a package relation: ${JSON.stringify(text.slice(0, 120))}`,
      {
        item,
        likely: 'the archive violates Debian policy 7.1',
        next: 'report it to the maintainers of the archive, or leave the package out',
      },
    )
  }
  const [, name, qualifier, operator, version] = match
  // called for every relation of an index: plain assignments are much faster than building the object from entries
  const relation: Relation = { name: name! }
  if (qualifier !== undefined) relation.qualifier = qualifier
  if (operator !== undefined) {
    relation.operator = spelledOut(operator)
    relation.version = version!
  }
  return relation
}

/** Policy 7.1: `<` and `>` are obsolete forms of `<=` and `>=`. */
function spelledOut(operator: string): Operator {
  if (operator === '<') return '<='
  if (operator === '>') return '>='
  return operator as Operator
}

export function formatRelation(relation: Relation): string {
  const qualifier = relation.qualifier === undefined ? '' : `:${relation.qualifier}`
  const version = relation.operator === undefined ? '' : ` (${relation.operator} ${relation.version})`
  return `${relation.name}${qualifier}${version}`
}

/** Returns whether `version` satisfies the relation. */
export function satisfiesVersion(relation: Relation, version: string): boolean {
  if (relation.operator === undefined || relation.version === undefined) return true
  const order = compareVersions(version, relation.version)
  switch (relation.operator) {
    case '<<':
      return order < 0
    case '<=':
      return order <= 0
    case '=':
      return order === 0
    case '>=':
      return order >= 0
    case '>>':
      return order > 0
    case '!=':
      return order !== 0
  }
}
