import type { FastifyReply } from 'fastify'
import type { Exchange } from './answer.ts'
import type { ServedImages, ServedOverlay, ServedRepository } from './served.ts'
import type { ServerContext } from './server.ts'

/** What the endpoints of a registry work with. */
export interface Registry {
  context: ServerContext
  images: ServedImages
  /** names in the order of listings, each list sorted once: thousands of names would keep the other clients waiting */
  sorted: { names(): readonly string[]; tags(of: ServedRepository['tags']): readonly string[] }
}

/** What was pushed to one repository, under its canonical name; absent where nothing can be pushed. */
export interface PushedTo {
  overlay: ServedOverlay
  name: string
}

/** One request inside a repository, which may be in a bundle, in the overlay, in both or in none. */
export interface RepositoryRequest extends Exchange {
  /** as it is in the request */
  name: string
  /** the upstream host in a request of a containerd mirror */
  ns: string | undefined
  /** of the bundles: its content wins */
  repository: ServedRepository | undefined
  pushed: PushedTo | undefined
  /** tag, digest, `list`, or what an upload is known by */
  reference: string
  query: URLSearchParams
}

export type Endpoint = (registry: Registry, asked: RepositoryRequest) => Promise<FastifyReply>

/** Returns the query that keeps the upstream host of a mirror in a link to the same repository: `?ns=docker.io`, or nothing. */
export function nsQuery(ns: string | undefined): string {
  return ns === undefined ? '' : `?${new URLSearchParams({ ns })}`
}
