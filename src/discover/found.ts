/** How a reference was written, which determines how certain it is that something pulls it. */
export type How =
  /** `image:` of a container, an init container, an image volume */
  | 'container'
  /** `image:` elsewhere: a custom resource whose operator starts it */
  | 'field'
  /** `repository`, `image` and `version` (or `tag`) as keys of their own, joined by an operator */
  | 'parts'
  /** value of an environment variable */
  | 'env'
  /** in a command line */
  | 'argument'
  /** inside the text of a ConfigMap or Secret */
  | 'text'

/** Where in a rendered release something was seen. */
export interface Sighting {
  /** `astrago (astrago)`: the release and its namespace */
  release: string
  /** `Deployment astrago-core` */
  object: string
  /** `spec.template.spec.containers[0].image` */
  path: string
  how: How
}

/** An image that a rendered release names. */
export interface FoundImage {
  /** as it would be pulled: parts joined, an implied tag written out */
  text: string
  /** an operator appends the OS of each node to the tag */
  perNode?: true
  /** why nothing pulls it at present: a disabled feature, a test that only `helm test` runs */
  dormant?: string
  seen: Sighting
}

/** A URL that a container fetches when it starts. */
export interface FoundUrl {
  url: string
  seen: Sighting
}

export interface Found {
  images: FoundImage[]
  urls: FoundUrl[]
}
