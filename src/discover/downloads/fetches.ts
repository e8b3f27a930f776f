import { isRecord, type RenderedObject } from '../documents.ts'
import { fetchingCommands, fetchingPrograms, fetchingVariables } from './programs.ts'
import { publicUrls, useOf } from './urls.ts'

export interface Fetches {
  /** fetched when the container starts */
  urls: string[]
  /** fetched or only named */
  undecided: string[]
}

const none: Fetches = { urls: [], undecided: [] }

/** Returns what a program fetches because of the value of a variable, a flag or a setting. `own`: see `ownHosts`. */
export function fetchedByValue(
  name: string,
  { value, own }: { value: string; own: ReadonlySet<string> },
): Fetches {
  const fetches: Fetches = { urls: fetchedByVariable(name, value), undecided: [] }
  if (fetches.urls.length > 0) return fetches
  if (/\s/.test(value) && fetchingPrograms.test(value)) return fetchedByCommand(value, own)
  for (const url of publicUrls(value)) {
    const use = useOf(name, url, own)
    if (use === 'download') fetches.urls.push(url)
    else if (use === 'unknown') fetches.undecided.push(url)
  }
  return fetches
}

/** Returns what a program fetches because of a variable or a key of a ConfigMap whose value is not a URL: a list of plugins. */
export function fetchedByVariable(name: string, value: string): string[] {
  return fetchingVariables
    .filter(rule => rule.variable === name && value.trim() !== '' && value !== rule.unless)
    .flatMap(({ url }) =>
      url.includes('{name}') ? entriesOf(value).map(entry => nameOrUrl(url, entry)) : [url],
    )
}

/** Returns what a command or a script fetches. */
export function fetchedByCommand(text: string, own: ReadonlySet<string>): Fetches {
  // comments contain links for people
  const code = text.replace(/^[ \t]*#.*/gm, '').replace(/\s#\s.*/g, '')
  const urls = fetchingPrograms.test(code)
    ? publicUrls(code).filter(url => !own.has(new URL(url).hostname))
    : []
  return { urls: [...new Set([...urls, ...fetchedByPrograms(code)])], undecided: [] }
}

/** Returns what the programs in a command line fetch although it contains no URL. */
export function fetchedByPrograms(command: string): string[] {
  return fetchingCommands
    .filter(rule => rule.command.test(command) && rule.unless?.test(command) !== true)
    .map(({ url }) => url)
}

/** Returns what a word of a command line fetches: its name is that of the flag. */
export function fetchedByWord(
  text: string,
  { own, command }: { own: ReadonlySet<string>; command: string },
): Fetches {
  if (/\s/.test(text)) return fetchedByCommand(text, own)
  const flag = /^--?([A-Za-z][A-Za-z0-9._-]*)=(.*)$/s.exec(text)
  if (flag !== null) return fetchedByValue(flag[1]!, { value: flag[2]!, own })
  const urls = publicUrls(text)
  if (urls.length === 0) return none
  if (fetchingPrograms.test(command)) return { urls, undecided: [] }
  return fetchedByValue('', { value: text, own })
}

/** Returns the host names of the environment itself: of its ingresses, routes and services. */
export function ownHosts(world: readonly RenderedObject[]): Set<string> {
  const hosts = new Set<string>()
  const namespaces = new Set(
    world.map(({ value: { metadata } }) => (isRecord(metadata) ? metadata['namespace'] : undefined)),
  )
  for (const { kind, value } of world) {
    const { spec, metadata } = value
    if (kind === 'Service' && isRecord(metadata)) {
      for (const namespace of namespaces) hosts.add(`${metadata['name']}.${namespace}`)
    }
    if (
      !/^(?:Ingress|IngressRoute|Route|HTTPRoute|GRPCRoute|TLSRoute|Gateway|VirtualService|HTTPProxy|Certificate)$/.test(
        kind,
      )
    )
      continue
    if (isRecord(spec))
      for (const text of strings(spec)) if (/^[a-z0-9.-]+\.[a-z]{2,}$/.test(text)) hosts.add(text)
  }
  return hosts
}

function* strings(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (Array.isArray(value)) for (const item of value) yield* strings(item)
  else if (isRecord(value)) for (const item of Object.values(value)) yield* strings(item)
}

function entriesOf(value: string): string[] {
  const text = value.replace(/#.*/g, '')
  return text.split(/[\s,]+/).filter(entry => entry !== '')
}

/** `https://…/plugin.zip;plugin` is fetched from there. */
function nameOrUrl(url: string, entry: string): string {
  const [first = ''] = entry.split(';')
  return /^https?:\/\//.test(first) ? first : url.replace('{name}', first.replace(/^oci:\/\//, ''))
}
