import { basename } from 'node:path'

/** A site as one client reaches it, and an empty folder of its own. */
export interface Place {
  /** host:port */
  registry: string
  /** http(s)://host:port */
  http: string
  tls: boolean
  /** of the site's CA, alone in a folder of its own, as podman wants it */
  caFile: string
  login: { user: string; password: string }
  /** docker's config.json with the login, in a folder that DOCKER_CONFIG may name */
  config: string
  /** the login is for pushing only; pulls are anonymous unless this is set */
  loginToPull: boolean
  folder: string
  /** address of a running containerd */
  containerd: string
  /** text of a client file that the site offers */
  clientFile(path: string): Promise<string>
}

export const operations = ['pull', 'push', 'mirror', 'chart', 'artifact', 'referrers'] as const
export type Operation = (typeof operations)[number]

export interface Cell {
  /** programs that it needs */
  needs: string[]
  /** Does it; throws where the client fails, or has something else afterwards. */
  run(place: Place): Promise<void>
}

export function equal(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`got ${String(actual).slice(0, 300)}, not ${String(expected)}`)
}

export function includes(text: string, part: string): void {
  if (!text.includes(part)) throw new Error(`${part} is not in: ${text.slice(0, 500)}`)
}

export const tag = (place: Place) => basename(place.folder)

export const own = (place: Place, name: string) => `${place.registry}/team/${name}:${tag(place)}`
