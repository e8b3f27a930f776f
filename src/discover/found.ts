/** How a reference was written, which determines how certain it is that something pulls it. */
export type How =
  /** `image:` of a container, an init container; `image.reference` of an image volume */
  | 'container'
  /** a key that names an image elsewhere: a custom resource whose operator starts it */
  | 'field'
  /** repository, image, version, … as keys, variables or flags of their own, joined by an operator */
  | 'parts'
  /** value of an environment variable */
  | 'env'
  /** in a command line */
  | 'argument'
  /** inside a text: of a ConfigMap, a Secret, an annotation, values of another chart */
  | 'text'
  /** composed by an operator from a resource without an image: see operators/ */
  | 'operator'

/** Where in a rendered release something was seen. */
export interface Sighting {
  /** `astrago (astrago)`: the release and its namespace */
  release: string
  /** `Deployment astrago-core` */
  object: string
  /** `spec.template.spec.containers[0].image`; a document inside a text follows its key after `: ` */
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

/** Something that pulls an image or opens a connection, but the rendering does not show which one. */
export interface Undecided {
  /** `quay.io/acme/database`: the repository whose version is missing; `Elasticsearch es`: the resource */
  subject: string
  /** what is not known, as a clause */
  reason: string
  seen: Sighting
}

export interface Found {
  images: FoundImage[]
  urls: FoundUrl[]
  undecided: Undecided[]
}
