import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { defined } from '../core/defined.ts'
import { AirgapError, fromSystemError, isErrorCode } from '../core/errors.ts'
import { type DocumentWords, type Mistake, parsePositioned } from '../document/positioned.ts'
import { readText } from '../document/read-text.ts'
import type { Cluster } from './kube.ts'

/** A PEM file, as kubeadm embeds it. */
const base64 = z
  .string()
  .min(4)
  .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, 'must be base64')
const name = z.string().min(1).max(253)
const one = <T extends z.ZodType>(item: T) => z.array(item).length(1, 'must have exactly one entry')

/** What kubeadm and kubespray write (k8s.io/client-go/tools/clientcmd/api/v1, Config), and nothing else. */
const schema = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Config'),
  preferences: z.strictObject({}).optional(),
  'current-context': name,
  clusters: one(
    z.strictObject({
      name,
      cluster: z.strictObject({ server: z.string(), 'certificate-authority-data': base64 }),
    }),
  ),
  contexts: one(z.strictObject({ name, context: z.strictObject({ cluster: name, user: name }) })),
  users: one(
    z.strictObject({
      name,
      user: z.strictObject({
        'client-certificate-data': base64.optional(),
        'client-key-data': base64.optional(),
        token: z
          .string()
          .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without blanks')
          .optional(),
      }),
    }),
  ),
})

const words: DocumentWords = {
  code: 'STEP_FAILED',
  what: 'the kubeconfig that a control-plane node returned is refused: only addresses, certificates, keys and tokens are taken from a node',
  next: 'look for who changed /etc/kubernetes/admin.conf on that node and reinstall the node; delete the fetched file, then run apply again',
}

/** Kubeadm's has about 6 KB. */
const maxSize = 64 << 10 /* bytes */

/**
 * Makes the kubeconfig of a cluster out of the data in the one that kubespray fetched, unless it is up to date. Call it under the
 * lock of the site: before anything uses the cluster, and after kubespray ran. Throws STEP_FAILED, naming every part that is
 * refused; the kubeconfig stays as it was then.
 */
export async function adoptKubeconfig(cluster: Pick<Cluster, 'kubeconfig' | 'fetched'>): Promise<void> {
  const text = await newKubeconfig(cluster)
  if (text !== undefined) await writeAtomically(cluster.kubeconfig, text, 0o600)
}

/**
 * Returns the cluster for commands that change nothing: what adoptKubeconfig would write is in a private file until it is
 * disposed of. Throws STEP_FAILED as adoptKubeconfig does.
 */
export async function previewCluster(cluster: Cluster): Promise<Cluster & AsyncDisposable> {
  const text = await newKubeconfig(cluster)
  if (text === undefined) return { ...cluster, [Symbol.asyncDispose]: async () => {} }
  const place = join(tmpdir(), 'offline-deploy-')
  const folder = await mkdtemp(place).catch(error => {
    throw fromSystemError(error, place)
  })
  const remove = () => rm(folder, { recursive: true, force: true })
  const preview = join(folder, 'kubeconfig')
  try {
    await writeFile(preview, text, { mode: 0o600 })
  } catch (error) {
    await remove()
    throw fromSystemError(error, preview)
  }
  return { ...cluster, preview, [Symbol.asyncDispose]: remove }
}

/** What `kubeconfig` is to have; undefined where it has that, or kubespray has fetched nothing. */
async function newKubeconfig({
  kubeconfig,
  fetched,
}: Pick<Cluster, 'kubeconfig' | 'fetched'>): Promise<string | undefined> {
  if (fetched === undefined) return undefined
  const { path, servers } = fetched
  let text: string
  try {
    text = await readText(path, {
      maxSize,
      invalid: what =>
        new AirgapError(words.code, `${words.what}: ${what}`, { item: path, next: words.next }),
    })
  } catch (error) {
    // kubespray has not run yet
    if (isErrorCode(error, 'FILE_NOT_FOUND')) return undefined
    throw error
  }
  const { safe, host, item } = safeKubeconfig(text, path)
  // its server was one of the site when it was adopted. If site.yaml has changed since, only kubespray can fetch another file
  if ((await readFile(kubeconfig, 'utf8').catch(() => '')) === safe) return undefined
  if (servers?.every(known => canonicalHost(known) !== host)) throw foreignServer(host, item)
  return safe
}

interface SafeKubeconfig {
  /** the text */
  safe: string
  /** host of the server, and where the fetched file names it */
  host: string
  item: string
}

/** Returns a kubeconfig with the data of `text` alone, in our own words. Throws STEP_FAILED. */
function safeKubeconfig(text: string, path: string): SafeKubeconfig {
  const { value, at, refuse } = parsePositioned(text, { file: path, schema, words })
  const { cluster } = value.clusters[0]!
  const { user } = value.users[0]!
  const host = hostOf(cluster.server)
  const unusable = { path: serverPath, what: 'server: must be https://ADDRESS:PORT' }
  refuse([...contradictions(value), ...(host === undefined ? [unusable] : [])])
  const credentials = {
    'client-certificate-data': user['client-certificate-data'],
    'client-key-data': user['client-key-data'],
    token: user.token,
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'site',
    clusters: [{ name: 'site', cluster }],
    contexts: [{ name: 'site', context: { cluster: 'site', user: 'administrator' } }],
    users: [{ name: 'administrator', user: defined(credentials) }],
  }
  return { safe: `${JSON.stringify(config, null, 2)}\n`, host: host ?? '', item: at(serverPath) }
}

function contradictions(config: z.infer<typeof schema>): Mistake[] {
  const [cluster, context, user] = [config.clusters[0]!, config.contexts[0]!, config.users[0]!]
  const mistakes: Mistake[] = []
  const refersTo = (path: Mistake['path'], [written, name]: [string, string]) => {
    if (written !== name)
      mistakes.push({ path, what: `${path.join('.')}: names nothing that is in the file` })
  }
  refersTo(['current-context'], [config['current-context'], context.name])
  refersTo(['contexts', 0, 'context', 'cluster'], [context.context.cluster, cluster.name])
  refersTo(['contexts', 0, 'context', 'user'], [context.context.user, user.name])
  const { token, 'client-certificate-data': certificate, 'client-key-data': key } = user.user
  if ((certificate === undefined) !== (key === undefined) || (token ?? certificate) === undefined)
    mistakes.push({
      path: ['users', 0, 'user'],
      what: 'needs client-certificate-data and client-key-data, or a token',
    })
  return mistakes
}

const serverPath = ['clusters', 0, 'cluster', 'server']

/** Returns the host of a server; undefined where it is more than https://ADDRESS:PORT. */
function hostOf(server: string): string | undefined {
  if (!/^https:\/\/[^/?#@\\\s]+\/?$/.test(server) || !URL.canParse(server)) return undefined
  return new URL(server).hostname
}

/** As `hostOf` returns it: lower case, IPv6 in brackets and in its shortest form. */
function canonicalHost(host: string): string | undefined {
  return hostOf(`https://${isIPv6(host) ? `[${host}]` : host}`)
}

/** kubectl would hand the administrator's credentials to whatever address the file has. */
function foreignServer(host: string, item: string): AirgapError {
  return new AirgapError(
    words.code,
    `the kubeconfig that a control-plane node returned has a server outside this site: ${host.slice(0, 253)}`,
    {
      item,
      likely:
        'site.yaml changed since (a node was replaced or has another address), it does not name the load balancer, or somebody changed the file on the node',
      next: 'if site.yaml changed, delete the fetched file and run apply again, which fetches it again; if it is the load balancer of this site, set loadbalancer_apiserver under kubespray in site.yaml; otherwise reinstall the node, delete the fetched file and run apply again',
    },
  )
}
