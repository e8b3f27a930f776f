import type { Named } from './join.ts'

/** A line of a text that is neither YAML nor JSON: `worker_tag = 2.8.1`, `helper_image: "a/b:1"`. */
const line = /^(?:-\s+)?(?:export\s+)?["']?([A-Za-z_][A-Za-z0-9_./-]*)["']?\s*[:=]\s*(\S.*)$/

export interface TextLines {
  /** `key: value` and `key = value` */
  named: Named[]
  /** the text without comments and without what a template includes only under a condition */
  text: string
  /** what a template includes only under a condition */
  conditional: string
  conditionalNamed: Named[]
}

/** Splits a text of an unknown format: TOML, INI, properties, a script, a Go template. */
export function linesOf(text: string, place: string): TextLines {
  const result: TextLines = { named: [], text: '', conditional: '', conditionalNamed: [] }
  let depth = 0
  for (const raw of text.split('\n')) {
    const opened = (raw.match(/\{\{-?\s*(?:if|range|with|define|block)\b/g) ?? []).length
    const closed = (raw.match(/\{\{-?\s*end\b/g) ?? []).length
    const isConditional = depth > 0 || opened > 0
    depth = Math.max(0, depth + opened - closed)
    const content = /^\s*(?:#|\/\/|;)/.test(raw) ? '' : raw.replace(/\s#\s.*/, '')
    if (content === '') continue
    const found = line.exec(content.trim().replace(/,$/, '').trimEnd())
    const named =
      found === null ? [] : [{ name: found[1]!, value: found[2]!.replace(/^["']|["']$/g, ''), place }]
    if (isConditional) {
      result.conditional += `${content}\n`
      result.conditionalNamed.push(...named)
    } else {
      result.text += `${content}\n`
      result.named.push(...named)
    }
  }
  return result
}
