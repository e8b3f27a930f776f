// Renders the releases of the deployment tree as on a site, with placeholders for what only a site knows.
import { mkdtemp } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { packPublishedCharts } from '../../scripts/lib/upstreams/published-charts.ts'
import { run } from './kubernetes.ts'

export const applications = resolve('bundle/astrago/applications')
/** folder of an application with our own chart → its release */
export const own: Record<string, string> = {
  astrago: 'astrago',
  'gpu-operator': 'gpu-operator-config',
  'gpu-session-monitoring': 'gpu-session-monitoring',
  'mpi-operator': 'mpi-operator',
}
// the sites' version; kubectl-validate has one set of schemas for each minor release
export const kubernetes = 'v1.28.6'
export const version = '1.28'

/** addresses of the registry and the HTTP server, and the CA of both */
export type Addresses = [registry: string, httpServer: string, ca?: string]
export const closed: Addresses = ['192.0.2.1:35000', 'http://192.0.2.1:8080']
export const secured: Addresses = [
  '192.0.2.1:35000',
  'https://192.0.2.1:8080',
  '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
]
export const internet: Addresses = ['', '']

interface Site {
  /** parent of the new folder */
  into: string
  /** names of releases; empty for all */
  names: string[]
  addresses: Addresses
  /** folder with the published charts */
  charts?: string
}

/** Renders releases by helmfile; returns the folder of the files. */
export async function renderSite({ into, names, addresses, charts }: Site): Promise<string> {
  const out = await mkdtemp(join(into, 'site-'))
  run('helmfile', [
    '--file',
    resolve('bundle/astrago/helmfile.yaml.gotmpl'),
    '--environment',
    'prod',
    '--no-color',
    '--quiet',
    '--state-values-file',
    resolve('manifests/astrago.values.yaml'),
    ...(charts === undefined ? [] : ['--state-values-set-string', `charts=${charts}`]),
    '--state-values-set-string',
    `offline.registry=${addresses[0]}`,
    '--state-values-set-string',
    `offline.httpServer=${addresses[1]}`,
    ...(addresses[2] === undefined
      ? []
      : ['--state-values-set-string', `offline.caCertificate=${addresses[2]}`]),
    ...names.flatMap(name => ['--selector', `name=${name}`]),
    'template',
    '--skip-deps',
    '--include-crds',
    '--kube-version',
    kubernetes,
    '--output-dir',
    out,
    '--output-dir-template',
    '{{ .OutputDir }}/{{ .Release.Namespace }}/{{ .Release.Name }}',
  ])
  return out
}

/** A folder with the published charts as NAME-VERSION.tgz: `$ASTRAGO_CHARTS`, or `folder` with stand-ins for them. Needs helm. */
export async function publishedCharts(folder: string): Promise<string> {
  const given = process.env['ASTRAGO_CHARTS']
  if (given !== undefined) return resolve(given)
  await packPublishedCharts(folder)
  return folder
}
