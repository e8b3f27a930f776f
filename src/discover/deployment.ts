/** What is rendered, and with what. */

/** Releases of one environment. */
export interface Deployment {
  /** absolute path of the helmfile */
  helmfile: string
  environment: string
  /** version of the cluster, on which charts depend */
  kubernetes?: string
  /** APIs of the cluster that neither Kubernetes nor these releases provide: `monitoring.coreos.com/v1` */
  apiVersions?: readonly string[]
  /** absolute paths of further values files: what the site sets in addition to the environment */
  values: string[]
  /** folder of the bundle's charts, `NAME-VERSION.tgz`: the value `charts` of a deployment tree */
  charts?: string
}

/** The site's addresses; empty for a site with internet access. */
export interface Addresses {
  registry: string
  httpServer: string
}

export interface Renderer {
  helm: string
  helmfile: string
  /** charts of the manifest, for helmfiles that name charts of repositories and registries */
  carried?: readonly CarriedChart[]
  /** fetches another chart from its repository; throws if that fails */
  pull?: (chart: Required<RemoteChart>) => Promise<string>
  signal: AbortSignal
}

/** A chart that the bundle carries. */
export interface CarriedChart {
  name: string
  version: string
  /** as in the manifest: https://…, http://… or oci://… */
  repo: string
  /** path of its archive on this machine */
  archive: string
}

/** A chart that is not in the tree: helmfile would download it. */
export interface RemoteChart {
  /** as the helmfile names it: `repository/chart` or `oci://host/path` */
  reference: string
  name: string
  /** version constraint; empty for the newest one */
  version: string
  /** where it would come from; undefined if the helmfile does not define the repository */
  repo?: string
}
