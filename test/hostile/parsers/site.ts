import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ByteSource } from '../../../src/bundle/byte-source.ts'
import { walkGraph } from '../../../src/bundle/graph.ts'
import { readFront } from '../../../src/bundle/read-front.ts'
import { BundleStore } from '../../../src/bundle/reader.ts'
import { decodeHeader } from '../../../src/bundle/tar-header.ts'
import { readTree } from '../../../src/content/tree.ts'
import type { Digest } from '../../../src/core/digest.ts'
import { AirgapError } from '../../../src/core/errors.ts'
import { oneLine, printable } from '../../../src/core/printable.ts'
import {
  clusterFindings,
  nodeStates,
  prometheusPath,
  releaseStates,
  sessionFindings,
} from '../../../src/install/cluster-findings.ts'
import { parseDeployment } from '../../../src/install/deployment.ts'
import { parseAnswer } from '../../../src/install/preflight/facts.ts'
import { Redactor } from '../../../src/install/redaction.ts'
import { fromIni } from '../../../src/inventory/inventory-ini.ts'
import { fromYaml } from '../../../src/inventory/inventory-yaml.ts'
import { parseSiteFile } from '../../../src/inventory/site-file.ts'
import { parseLock } from '../../../src/lock/lock.ts'
import { parseManifestDocument } from '../../../src/manifest/document.ts'
import { manifestSchema } from '../../../src/manifest/schema.ts'
import { parseOsRelease } from '../../../src/probe/os-release.ts'
import { parseProbe } from '../../../src/probe/schema.ts'
import { decodePath, parseTarget } from '../../../src/serve/target.ts'
import { parseMinisign } from '../../../src/signature/minisign-signature.ts'
import { parsePublicKeys } from '../../../src/signature/public-key.ts'
import { parseSigstoreBundle } from '../../../src/signature/sigstore-bundle.ts'
import { parseSshSignature } from '../../../src/signature/ssh-signature.ts'
import { parseStatement, printStatement } from '../../../src/signature/statement.ts'
import { completeSecrets, parseDeclaration } from '../../../src/site/secrets.ts'
import { diffText } from '../../../src/values/diff-text.ts'
import { hasMerged, mergeValues } from '../../../src/values/merge.ts'
import { setValues } from '../../../src/values/set.ts'
import { digest, type Parser, textParser, valueParser } from './parser.ts'

const home = join(import.meta.dirname, '../../..')
const read = (path: string) => readFileSync(join(home, path), 'utf8')

const values =
  '# c\noffline: # x\n  registry: ""\n  httpServer: ""\na: &a\n  b: 1\n  c: [1, 2, {d: e}]\nf:\n  <<: *a\n  g: "h"\n"x.y": |\n  text\n  more\nz: ~\n'
const site =
  'apiVersion: airgap-site/v1\nenvironment: prod\nexternalIP: 10.0.0.1\nnfs:\n  server: n1\n  networks: [10.0.0.0/24]\nssh:\n  user: root\n  port: 22\nnodes:\n- name: n1\n  address: 10.0.0.1\n  roles: [control-plane, worker, nfs]\nswitches:\n  applications: {harbor: false}\nkubespray:\n  kube_proxy_mode: ipvs\nvalues:\n  a: {b: c}\n'
const probe = {
  probeVersion: 1,
  os: { id: 'ubuntu', version: '22.04', codename: 'jammy' },
  kernel: { release: '5.15.0-1' },
  architecture: 'amd64',
  pci: [{ id: '10de:1234', class: '0300' }],
  secureBoot: 'off',
  memory: 1,
  cpus: 2,
  disks: [{ name: 'sda', size: 1 }],
  mounts: [{ path: '/', size: 1, free: 1 }],
  packages: [{ name: 'bash', version: '5', architecture: 'amd64' }],
}
const answer = `hello\nairgap-preflight 1\nosId=ubuntu\nosLike=debian\nosVersion=22.04\nkernel=5.15.0\narchitecture=x86_64\ncpus=4\nmemory=8000000\ndisk.root=1000000 66305\nports=192B\ntime=1700000000\nselinux=disabled\nswap=no\nrunning=kubelet containerd\nnameservers=10.0.0.1\npython=3.11.2\nsudo=ok\nhostname=n1\nmachineId=${'a'.repeat(32)}\nairgap-preflight end\n`
const ini =
  '[all]\nn1 ansible_host=10.0.0.1 ip=10.0.0.1 ansible_user="a b"\nn[2:5] x=\'y\'\n[kube_control_plane]\nn1:22\n[k8s_cluster:children]\nkube_control_plane\n[all:vars]\na=b\n'
const inventory =
  'all:\n  hosts:\n    n1: {ansible_host: 10.0.0.1}\n  children:\n    kube_node:\n      hosts: {n1: }\n    k8s_cluster: {children: {kube_node: {}}}\n  vars: {a: b}\n'
const lock = {
  lockVersion: 1,
  name: 'a',
  version: '1',
  platforms: ['linux/amd64'],
  inputs: digest('a'),
  collisions: { a: 'b' },
  runtime: [{ path: 'offline-deploy/x', mode: 420, digest: digest('b'), size: 1 }],
  items: { image: [{ name: 'a' }], file: [] },
}
const nodes = {
  items: [
    {
      metadata: { name: 'n1', labels: {} },
      spec: { taints: [{ key: 'a' }] },
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        nodeInfo: { kubeletVersion: 'v1.28.6' },
        allocatable: { 'nvidia.com/gpu': '2' },
      },
    },
  ],
}
const pods = {
  items: [
    {
      metadata: { name: 'p', namespace: 'x', ownerReferences: [{ kind: 'Job' }] },
      spec: { containers: [{ name: 'c', image: 'a/b:1' }], nodeName: 'n1' },
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [
          {
            name: 'c',
            image: 'a/b:1',
            imageID: 'x',
            ready: true,
            state: { waiting: { reason: 'ImagePullBackOff', message: 'm' } },
          },
        ],
      },
    },
  ],
}
const statement = printStatement({
  product: 'astrago-airgap',
  name: 'demo',
  version: '1',
  index: digest('a') as Digest,
  built: '2026-01-01T00:00:00Z',
  files: [
    { path: 'index.json', sha256: 'a'.repeat(64) },
    { path: 'offline-deploy/node', sha256: 'b'.repeat(64) },
  ],
})
const sshSignature =
  '-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg\n-----END SSH SIGNATURE-----\n'
const minisign =
  'untrusted comment: signature\nRUQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\ntrusted comment: x\nAAAA\n'

function sourceOf(bytes: Buffer): ByteSource {
  return {
    name: 'm.tar',
    size: bytes.length,
    opened: [],
    state: async () => [],
    async read(buffer, position) {
      if (position + buffer.length > bytes.length) throw new AirgapError('IO', 'the bundle ends')
      buffer.set(bytes.subarray(position, position + buffer.length))
    },
    close: async () => {},
  }
}

const redactor = new Redactor(['S3cretPassw0rd', 'hunter2/+="x', 'C:\\dir\\\\pass "a" \'b\''])

/** The parsers of the closed side: a bundle, files of a site, machines, clusters. `bundle` is a valid one. */
export const siteParsers = (bundle: Buffer): Parser[] => [
  {
    name: 'bundle',
    seeds: [bundle],
    async parse(bytes) {
      const source = sourceOf(bytes)
      const front = await readFront(source)
      const store = new BundleStore(source, front)
      await walkGraph(store, front.roots)
      for (const root of front.roots) if (root.artifactType?.includes('tree')) await readTree(store, [root])
    },
    isSlow: true,
  },
  {
    name: 'tar header',
    seeds: [bundle.subarray(0, 512)],
    parse: bytes => decodeHeader(bytes.subarray(0, 512), 'x'),
  },
  textParser('lock', [JSON.stringify(lock)], text => parseLock(text, 'x')),
  textParser(
    'manifest',
    [
      read('manifests/astrago.yaml').slice(0, 6_000),
      'apiVersion: airgap/v1\nname: a\nversion: "1"\nimages: [busybox:1]\n',
    ],
    text => parseManifestDocument(text, { file: 'm.yaml', schema: manifestSchema }),
  ),
  textParser('statement of checksums', [statement], text => parseStatement(Buffer.from(text), 'x')),
  textParser(
    'public keys',
    ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA x\n'],
    text => parsePublicKeys(text, 'x'),
  ),
  textParser(
    'signature files',
    [sshSignature, minisign, '{"messageSignature":{"messageDigest":{"digest":"aa"},"signature":"aa"}}'],
    text => {
      const bytes = Buffer.from(text)
      parseSshSignature(bytes)
      parseMinisign(bytes)
      parseSigstoreBundle(bytes)
    },
  ),
  textParser('values, merged', [values], text => {
    const versions = { base: values, ours: text, theirs: values.replace('b: 1', 'b: 2'), name: 'v' }
    hasMerged(versions)
    mergeValues(versions)
  }),
  textParser('values, set', [values], text =>
    setValues(
      text,
      { offline: { registry: '10.0.0.1:35000', httpServer: 'http://x' }, values: 'a: {b: 2}\n' },
      'v',
    ),
  ),
  textParser('difference of values', [values], text => diffText(values, text)),
  textParser('site.yaml', [site], text => parseSiteFile(text, 'site.yaml')),
  textParser('install.yaml', [read('bundle/astrago/install.yaml')], text =>
    parseDeployment(text, 'install.yaml'),
  ),
  textParser(
    'declaration of secrets',
    ['secrets:\n- path: a.b\n  description: x\n- path: c\n  description: y\nrefused: [x]\n'],
    text => parseDeclaration(text, 'x'),
  ),
  textParser('secrets', ['a:\n  b: hunter2hunter2\n'], text =>
    completeSecrets(
      {
        secrets: [
          { path: 'a.b', description: 'x', length: 24, exactLength: false },
          { path: 'c', description: 'x', length: 24, exactLength: false },
        ],
        refused: [],
      },
      { before: text, item: 'x', given: new Map() },
    ),
  ),
  textParser('inventory (ini)', [ini], text => fromIni(text, 'x')),
  textParser('inventory (YAML)', [inventory], text => fromYaml(text, 'x')),
  textParser('probe', [JSON.stringify(probe)], text => parseProbe(text, 'x')),
  textParser('answer of a machine', [answer], parseAnswer),
  textParser('os-release', ['ID=ubuntu\nVERSION_ID="22.04"\nNAME=\'x\'\n'], parseOsRelease),
  valueParser(
    'answers of a cluster',
    [{ nodes, pods, releases: [{ name: 'a', namespace: 'b', status: 'deployed', chart: 'c-1' }] }],
    value => {
      const all = Object(value) as Record<string, unknown>
      const answers = { nodes: all['nodes'], pods: all['pods'], releases: all['releases'] }
      clusterFindings(answers, { registry: '10.0.0.1:35000', carried: () => false, gpuNodes: ['n1'] })
      nodeStates(answers.nodes)
      releaseStates(answers.releases)
      prometheusPath(answers.pods)
      sessionFindings({ success: answers.nodes, age: answers.pods }, { gpuNodes: ['n1'] })
    },
  ),
  textParser(
    'request',
    ['/v2/a/b/manifests/1?ns=docker.io&n=1#x', '/files/%2e%2e/a'],
    text => decodePath(parseTarget(text).path),
    { maxSize: 16 << 10 },
  ),
  textParser(
    'log to redact',
    [
      'password=S3cretPassw0rd token: "x" https://u:p@h/a?b=c\n{"secret":"x","a":["b"]}\n-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n',
      'a: {password: x}\nb: |\n  Authorization: AWS4-HMAC-SHA256 x\n',
    ],
    text => {
      redactor.text(text)
      redactor.document(text, 'yaml')
      redactor.document(text, 'json')
    },
  ),
  textParser('message to print', ['a\u001b[2J\n  next: x\u202e'], text => {
    printable(text)
    oneLine(text)
  }),
]
