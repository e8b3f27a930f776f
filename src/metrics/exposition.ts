/** The text formats in which Prometheus reads metrics. */
export type MetricsFormat = 'prometheus' | 'openmetrics'

/** Content types of the formats; Prometheus names the first in its Accept header where it supports it. */
export const metricsTypes: Readonly<Record<MetricsFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
}

/** A metric: all samples of one name. Names and units follow https://prometheus.io/docs/practices/naming/. */
export interface Metric {
  /** without `_total`, which a counter gets when it is written */
  name: string
  /** one sentence, as in the documentation */
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  samples: readonly Sample[]
}

export interface Sample {
  labels?: Readonly<Record<string, string>>
  value: number | Histogram
}

export interface Histogram {
  /** upper bounds, ascending, without +Inf */
  bounds: readonly number[]
  /** number of observations in each bucket alone; last: above all bounds */
  counts: readonly number[]
  sum: number
}

/**
 * Writes metrics as text (https://prometheus.io/docs/instrumenting/exposition_formats/ and the OpenMetrics specification 1.0). Metrics
 * without a sample are left out.
 */
export function expose(metrics: readonly Metric[], format: MetricsFormat): string {
  const lines = metrics
    .filter(({ samples }) => samples.length > 0)
    .flatMap(({ name, help, type, samples }) => {
      // the name of a counter's family has the suffix in the older format only
      const family = type === 'counter' && format === 'prometheus' ? `${name}_total` : name
      return [
        `# HELP ${family} ${escapeHelp(help, format)}`,
        `# TYPE ${family} ${type}`,
        ...samples.flatMap(sample => linesOf({ name, type, format }, sample)),
      ]
    })
  if (format === 'openmetrics') lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

function linesOf(
  { name, type, format }: Pick<Metric, 'name' | 'type'> & { format: MetricsFormat },
  { labels = {}, value }: Sample,
): string[] {
  if (typeof value === 'number')
    return [`${name}${type === 'counter' ? '_total' : ''}${labelText(labels)} ${numberText(value)}`]
  let below = 0
  const buckets = [...value.bounds, Number.POSITIVE_INFINITY].map((bound, i) => {
    below += value.counts[i] ?? 0
    return `${name}_bucket${labelText({ ...labels, le: boundText(bound, format) })} ${below}`
  })
  return [
    ...buckets,
    `${name}_sum${labelText(labels)} ${numberText(value.sum)}`,
    `${name}_count${labelText(labels)} ${below}`,
  ]
}

/** OpenMetrics requires a canonical form of bounds, which always has a point. */
function boundText(bound: number, format: MetricsFormat): string {
  const text = numberText(bound)
  return format === 'openmetrics' && Number.isInteger(bound) ? `${text}.0` : text
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

/** A name of a bundle comes from a medium: a quote or a line break in it must not become a sample of its own. */
function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function escapeHelp(text: string, format: MetricsFormat): string {
  return format === 'openmetrics' ? escapeLabel(text) : text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}
