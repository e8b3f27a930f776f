/**
 * What built-in functions cost, which no instrumentation sees: the characters or elements that they look at. A search costs as much as it
 * passes over, from where it starts to where it ends; patterns are checked by `test/regular-expressions.test.ts` to take linear time.
 */

type Method = (this: never, ...args: never[]) => unknown
type Cost = (receiver: { length: number }, args: readonly unknown[], result: unknown) => number

const whole: Cost = receiver => receiver.length
const found: Cost = (receiver, [, from], result) =>
  (typeof result === 'number' && result >= 0 ? result : receiver.length) -
  (typeof from === 'number' ? from : 0)
const foundBackwards: Cost = (receiver, [, from], result) =>
  Math.min(receiver.length, typeof from === 'number' ? from : receiver.length) - Math.max(0, Number(result))
const ofResult: Cost = (_, __, result) => (result as { length?: number } | null)?.length ?? 0

const strings: Record<string, Cost> = {
  indexOf: found,
  includes: (text, [part, from], result) =>
    result ? String(text).indexOf(String(part)) - Number(from ?? 0) : text.length - Number(from ?? 0),
  lastIndexOf: foundBackwards,
  split: whole,
  replaceAll: whole,
  trim: whole,
  toLowerCase: whole,
  toUpperCase: whole,
  normalize: whole,
  isWellFormed: whole,
  repeat: ofResult,
  padEnd: ofResult,
  padStart: ofResult,
}
const arrays: Record<string, Cost> = {
  indexOf: found,
  lastIndexOf: foundBackwards,
  includes: whole,
  join: whole,
  slice: ofResult,
  concat: ofResult,
  splice: whole,
  shift: whole,
  unshift: whole,
  reverse: whole,
  sort: whole,
  toSorted: whole,
  toReversed: whole,
  fill: whole,
}
const buffers: Record<string, Cost> = {
  indexOf: found,
  includes: whole,
  lastIndexOf: foundBackwards,
  toString: ofResult,
  equals: whole,
  copy: (_, __, result) => Number(result),
  fill: whole,
}

/** Makes built-in functions count what they cost. Call it before the modules that use them are loaded. */
export function countNatives(add: (steps: number) => void): void {
  const wrap = (prototype: object, costs: Record<string, Cost>): void => {
    for (const [name, cost] of Object.entries(costs)) {
      const original = (prototype as Record<string, Method>)[name]!
      Object.defineProperty(prototype, name, {
        configurable: true,
        writable: true,
        value: function counted(this: never, ...args: never[]) {
          const result = original.apply(this, args)
          if (this !== null && this !== undefined) add(Math.max(0, cost(this, args, result)))
          return result
        },
      })
    }
  }
  // before the others: their costs are computed with what is not wrapped
  const { exec } = RegExp.prototype
  Object.defineProperty(RegExp.prototype, 'exec', {
    configurable: true,
    writable: true,
    value: function counted(this: RegExp, text: string) {
      const from = this.global || this.sticky ? this.lastIndex : 0
      const match = exec.call(this, text)
      const { length } = String(text)
      // an anchored pattern fails where it starts
      const fails = this.sticky || (this.source.startsWith('^') && !this.multiline) ? 1 : length - from
      add(Math.max(0, match === null ? fails : match.index + match[0].length - from))
      return match
    },
  })
  wrap(String.prototype, strings)
  wrap(Array.prototype, arrays)
  wrap(Buffer.prototype, buffers)
  const { parse } = JSON
  JSON.parse = (text: string, ...more: []) => {
    add(String(text).length)
    return parse(text, ...more)
  }
  const { concat } = Buffer
  Buffer.concat = (list, size) => {
    const result = concat(list, size)
    add(result.length)
    return result
  }
}
