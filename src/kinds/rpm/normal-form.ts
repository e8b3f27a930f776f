import { AirgapError } from '../../core/errors.ts'
import type { RpmRelation } from './candidate.ts'
import type { RichDependency } from './rich.ts'
import { type Id, providersOfRich } from './universe.ts'

/** A literal: a package is installed (its id) or not (its id, negative). Blocks are in ascending order. */
export type Block = number[]

/** true: always satisfied; false: never; otherwise clauses that must all hold, each by one of its literals */
export type NormalForm = boolean | Block[]

/** Nested conditions multiply (fault 50); real packages stay far below. */
const maxBlocks = 4096

/** Conjunctive normal form of a boolean dependency, as libsolv makes it (cplxdeps.c). */
export function clausesOf(
  dependency: RichDependency,
  providers: (relation: RpmRelation) => readonly Id[],
): NormalForm {
  return normalize(dependency, { providers, dnf: false, known: new Map() })
}

/** Clauses of the negation: the meaning of `Conflicts: (a and b)`. */
export function clausesOfContrary(
  dependency: RichDependency,
  providers: (relation: RpmRelation) => readonly Id[],
): NormalForm {
  return invert(normalize(dependency, { providers, dnf: true, known: new Map() }))
}

interface Mode {
  providers: (relation: RpmRelation) => readonly Id[]
  /** blocks are alternatives; the literals of a block hold together */
  dnf: boolean
  /**
   * The forms of each part, by `dnf`. `(a if CONDITION else b)` needs both forms of its condition: without this, the work doubles with
   * each level (fault 111), also where no form has a block that counts.
   */
  known: Map<RichDependency, Map<boolean, NormalForm>>
}

function normalize(dependency: RichDependency, mode: Mode): NormalForm {
  const forms = mode.known.get(dependency) ?? new Map<boolean, NormalForm>()
  mode.known.set(dependency, forms)
  const form = forms.get(mode.dnf) ?? makeNormal(dependency, mode)
  forms.set(mode.dnf, form)
  return form
}

function makeNormal(dependency: RichDependency, mode: Mode): NormalForm {
  const contrary = (inner: RichDependency) => invert(normalize(inner, { ...mode, dnf: !mode.dnf }))
  const plain = (inner: RichDependency) => normalize(inner, mode)
  switch (dependency.type) {
    case 'and':
      return both(plain(dependency.left), plain(dependency.right), mode)
    case 'or':
      return either(plain(dependency.left), plain(dependency.right), mode)
    case 'if': {
      const { left, condition, otherwise } = dependency
      const met = either(plain(left), contrary(condition), mode)
      return otherwise ? both(met, either(plain(otherwise), plain(condition), mode), mode) : met
    }
    case 'unless': {
      const { left, condition, otherwise } = dependency
      const met = both(plain(left), contrary(condition), mode)
      return otherwise ? either(met, both(plain(otherwise), plain(condition), mode), mode) : met
    }
    default: {
      const ids = providersOfRich(dependency, mode.providers)
      if (ids.length === 0) return false
      return mode.dnf ? ids.map(id => [id]) : [[...ids]]
    }
  }
}

function both(a: NormalForm, b: NormalForm, { dnf }: Mode): NormalForm {
  if (a === false || b === false) return false
  if (a === true) return b
  if (b === true) return a
  if (!dnf) return concatenate(a, b)
  return distribute(a, b) ?? false
}

function either(a: NormalForm, b: NormalForm, { dnf }: Mode): NormalForm {
  if (a === true || b === true) return true
  if (a === false) return b
  if (b === false) return a
  if (dnf) return concatenate(a, b)
  return distribute(a, b) ?? true
}

function concatenate(a: Block[], b: Block[]): Block[] {
  checkCount(a.length + b.length)
  return [...a, ...b]
}

/** Combines every block of one form with every block of the other; blocks with a literal and its negation are dropped. */
function distribute(a: Block[], b: Block[]): Block[] | undefined {
  checkCount(a.length * b.length)
  const blocks: Block[] = []
  for (const one of a) {
    for (const other of b) {
      const literals = new Set([...one, ...other])
      if ([...literals].some(literal => literals.has(-literal))) continue
      blocks.push([...literals].sort((x, y) => x - y))
    }
  }
  return blocks.length === 0 ? undefined : blocks
}

function checkCount(blocks: number): void {
  if (blocks <= maxBlocks) return
  throw new AirgapError('UPSTREAM_INVALID', 'a boolean dependency has too many cases', {
    item: `${blocks} combinations`,
    likely: 'a malicious or machine-made package: nested conditions multiply',
    next: 'leave the package out with excludepkgs',
  })
}

function invert(form: NormalForm): NormalForm {
  if (typeof form === 'boolean') return !form
  return form.map(block => block.map(literal => -literal).reverse())
}
