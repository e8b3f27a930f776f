import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { defined } from '../core/defined.ts'

/**
 * The kubeconfig that kubespray fetches from the first control-plane node. To this host it is hostile data: kubectl and helm run
 * `users[].user.exec` as a program, read files and send them (`tokenFile`, `client-key`), use any proxy and skip the check of the
 * server's certificate if the file says so.
 */
export interface FetchedKubeconfig {
  /** where kubespray puts it */
  path: string
  /** addresses and names at which the API server of this site may be; undefined: any, as the site has no site.yaml */
  servers: readonly string[] | undefined
}

/** kubectl and helm of this host, and the cluster that they use. */
export interface Cluster {
  /** folder of kubectl, helm and helmfile */
  bin: string
  kubeconfig: string
  /** used instead while `kubeconfig` lacks what kubespray fetched and nothing may be written (previewCluster) */
  preview?: string
  /** what `kubeconfig` is made of (adoptKubeconfig) where kubespray installed the cluster */
  fetched?: FetchedKubeconfig
  /** PEM of the CA of the site's servers, from which charts may be pulled; nothing there with plain HTTP */
  caFile?: string
  /** of helm's files: the operator's plugins are not used */
  home: string
}

export function clusterEnvironment({
  bin,
  kubeconfig,
  preview,
  caFile,
  home,
}: Cluster): Record<string, string> {
  // crypto/x509 of Go, root_unix.go: the certificates in the system's folders stay trusted
  const trusted = caFile !== undefined && existsSync(caFile) ? caFile : undefined
  return defined({
    SSL_CERT_FILE: trusted,
    PATH: `${bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: home,
    LC_ALL: 'C.UTF-8',
    KUBECONFIG: preview ?? kubeconfig,
    HELM_CACHE_HOME: `${home}/helm/cache`,
    HELM_CONFIG_HOME: `${home}/helm/config`,
    HELM_DATA_HOME: `${home}/helm/data`,
    HELMFILE_UPGRADE_NOTICE_DISABLED: 'true',
  })
}

/** Runs kubectl or helm; returns its JSON, or undefined if it fails, is too slow, or prints something else. */
export async function queryCluster(
  cluster: Cluster,
  options: { program: 'kubectl' | 'helm'; args: readonly string[]; signal: AbortSignal; timeoutMs?: number },
): Promise<unknown> {
  const { program, args, signal, timeoutMs = 30_000 } = options
  try {
    const { stdout } = await promisify(execFile)(`${cluster.bin}/${program}`, [...args], {
      signal,
      timeout: timeoutMs,
      maxBuffer: 256 << 20,
      env: clusterEnvironment(cluster),
    })
    return JSON.parse(stdout)
  } catch {
    signal.throwIfAborted()
    return undefined
  }
}
