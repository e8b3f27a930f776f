import { parseSync } from 'oxc-parser'

/** The name of the counter in instrumented code: `__steps[0]`. */
export const counter = '__steps'

/**
 * Returns a module that counts its steps: each call of a function, each turn of a loop, and each value that `...` copies. Counts are the same on
 * every machine, however busy it is.
 */
export function instrumented(source: string, file: string): string {
  const inserts: [offset: number, text: string][] = []
  const count = `${counter}[0]++`
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    if (Array.isArray(node)) {
      node.forEach(visit)
      return
    }
    const { type, body, argument } = node as Record<string, unknown>
    if (
      type === 'ArrowFunctionExpression' ||
      (typeof type === 'string' && /^(?:For|While|DoWhile)/.test(type))
    )
      countBody(body)
    else if (type === 'FunctionBody' || type === 'StaticBlock') insertAfterBrace(node)
    else if (type === 'SpreadElement' && isNode(argument)) {
      inserts.push([argument.start, `${counter}.spread(`], [argument.end, ')'])
    }
    for (const [key, value] of Object.entries(node)) if (key !== 'parent') visit(value)
  }
  const countBody = (body: unknown): void => {
    if (!isNode(body) || body.type === 'FunctionBody') return
    if (body.type === 'BlockStatement') insertAfterBrace(body)
    else if (/Statement$/.test(body.type)) inserts.push([body.start, `{${count};`], [body.end, '}'])
    else inserts.push([body.start, `(${count},`], [body.end, ')'])
  }
  const insertAfterBrace = (block: unknown): void => {
    if (!isNode(block) || source[block.start] !== '{') return
    // directives such as 'use strict' must stay first
    const directives = block.body.filter(one => 'directive' in one)
    inserts.push([directives.at(-1)?.end ?? block.start + 1, `;${count};`])
  }
  visit(parseSync(file, source).program)
  // at one offset, what ends comes before what begins
  inserts.sort(([a, x], [b, y]) => a - b || Number(x !== ')' && x !== '}') - Number(y !== ')' && y !== '}'))
  let text = ''
  let at = 0
  for (const [offset, part] of inserts) {
    text += source.slice(at, offset) + part
    at = offset
  }
  return text + source.slice(at)
}

interface Node {
  type: string
  start: number
  end: number
  body: (Node & { directive?: string })[]
}

function isNode(node: unknown): node is Node {
  return typeof node === 'object' && node !== null && 'start' in node
}
