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
  if (/\s/.test(value) && fetchingPrograms.test(value)) return fetchedByCommand(value)
  for (const url of publicUrls(value)) {
    const use = useOf(name, url, own)
    if (use === 'download') fetches.urls.push(url)
    else if (use === 'unknown') fetches.undecided.push(url)
  }
  return fetches
}

/** Returns what a program fetches because of a variable or a key of a ConfigMap, although its value is no URL. */
export function fetchedByVariable(name: string, value: string): string[] {
  return fetchingVariables
    .filter(rule => rule.variable === name && value.trim() !== '' && value !== rule.unless)
    .flatMap(({ url }) =>
      url.includes('{name}') ? entriesOf(value).map(entry => nameOrUrl(url, entry)) : [url],
    )
}

/** Returns what a command or a script fetches. */
export function fetchedByCommand(text: string): Fetches {
  // comments contain links for people
  const code = text.replace(/^\s*#.*$/gm, '').replace(/\s#\s.*$/gm, '')
  const commands = fetchingCommands.filter(
    ({ command, unless }) => command.test(code) && unless?.test(code) !== true,
  )
  const urls = fetchingPrograms.test(code) ? publicUrls(code) : []
  return { urls: [...new Set([...urls, ...commands.map(({ url }) => url)])], undecided: [] }
}

/** Returns what a word of a command line fetches: its name is that of the flag. */
export function fetchedByWord(
  text: string,
  { own, command }: { own: ReadonlySet<string>; command: string },
): Fetches {
  if (/\s/.test(text)) return fetchedByCommand(text)
  const flag = /^--?([A-Za-z][A-Za-z0-9._-]*)=(.*)$/s.exec(text)
  if (flag !== null) return fetchedByValue(flag[1]!, { value: flag[2]!, own })
  const urls = publicUrls(text)
  if (urls.length === 0) return none
  if (fetchingPrograms.test(command)) return { urls, undecided: [] }
  return fetchedByValue('', { value: text, own })
}

/** Returns the host names under which the environment itself can be reached: of its ingresses and routes. */
export function ownHosts(world: readonly RenderedObject[]): Set<string> {
  const hosts = new Set<string>()
  for (const { kind, value } of world) {
    const { spec } = value
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
  const text = value.replace(/#.*$/gm, '')
  return text.split(/[\s,]+/).filter(entry => entry !== '')
}

/** `https://…/plugin.zip;plugin` is fetched from there. */
function nameOrUrl(url: string, entry: string): string {
  const [first = ''] = entry.split(';')
  return /^https?:\/\//.test(first) ? first : url.replace('{name}', first.replace(/^oci:\/\//, ''))
}
