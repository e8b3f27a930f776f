import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { Header } from 'tar'
import { checkArtifactNames } from '../../../src/content/artifact-names.ts'
import { bunzip2 } from '../../../src/content/bunzip2.ts'
import { parseManifest } from '../../../src/content/successors.ts'
import { parseChartVersion, parseConstraint } from '../../../src/core/chart-version.ts'
import { globMatcher } from '../../../src/core/glob.ts'
import { parsePlatform, readPlatform } from '../../../src/core/platform.ts'
import { redactText, redactUrl } from '../../../src/core/redact.ts'
import { parseReference } from '../../../src/core/reference.ts'
import { withoutSecretParameters, withoutSecretQueries } from '../../../src/core/secret-queries.ts'
import { collect } from '../../../src/discover/collect.ts'
import { renderedObjects } from '../../../src/discover/documents.ts'
import { readChartArchive } from '../../../src/kinds/chart/archive.ts'
import { parseChartYaml, parseRequirements } from '../../../src/kinds/chart/metadata.ts'
import { findInIndex } from '../../../src/kinds/chart/repository-index.ts'
import { parsePackets } from '../../../src/kinds/git/pkt-line.ts'
import { remoteError } from '../../../src/kinds/git/remote-error.ts'
import { checkGitUrl, resolveSubmoduleUrl } from '../../../src/kinds/git/url.ts'
import { secretIn } from '../../../src/kinds/secret-files.ts'
import { retryAfterMs } from '../../../src/remote/host-pauses.ts'
import { fetchMirrorList } from '../../../src/remote/mirror-list.ts'
import { parseNetrc } from '../../../src/remote/netrc.ts'
import { orasFailure } from '../../../src/remote/oras-failure.ts'
import { contentRange } from '../../../src/remote/range.ts'
import { nextPage } from '../../../src/remote/registry-request.ts'
import { parseChallenges } from '../../../src/remote/www-authenticate.ts'
import { digest, type Parser, textParser, valueParser } from './parser.ts'

export function tarOf(files: readonly (readonly [path: string, text: string])[]): Buffer {
  const parts = files.flatMap(([path, text]) => {
    const block = Buffer.alloc(512)
    new Header({ path, size: Buffer.byteLength(text), type: 'File', mode: 0o644, mtime: new Date(0) }).encode(
      block,
      0,
    )
    return [block, Buffer.from(text), Buffer.alloc((512 - (Buffer.byteLength(text) % 512)) % 512)]
  })
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}

const index = {
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [
    {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digest('a'),
      size: 5,
      platform: { os: 'linux', architecture: 'amd64' },
      annotations: { a: 'b' },
    },
  ],
  subject: { mediaType: 'x', digest: digest('b'), size: 1 },
}
const manifest = {
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digest('c'), size: 2 },
  layers: [
    {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: digest('d'),
      size: 3,
      urls: ['https://x'],
    },
  ],
}
const chartYaml =
  'apiVersion: v2\nname: app\nversion: 1.0.0\nannotations:\n  images: |\n    - image: a/b:1\ndependencies:\n- name: sub\n  version: 1\n'
const chart = tarOf([
  ['app/Chart.yaml', chartYaml],
  ['app/values.yaml', 'a: 1\n'],
  ['app/charts/sub/Chart.yaml', 'name: sub\nversion: 1\n'],
  ['app/templates/a.yaml', '{{ .x }}'],
])
const chartIndex = `apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n    digest: ${'a'.repeat(64)}\n    urls:\n    - app-1.0.0.tgz\n  other:\n  - version: 2\n    urls: [x]\ngenerated: x\n`
const rendered =
  'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: c\n    image: docker.io/library/a:1\n    args: ["--image=quay.io/b/c:2", "curl https://x.example/y.tar.gz"]\n    env: [{name: X, value: "quay.io/b/c:2"}]\n---\nkind: List\nitems: [{kind: ConfigMap, data: {x: "image: a/b:1", y: "{\\"image\\": \\"c/d:1\\"}"}}]\n'
const metalink =
  '<?xml version="1.0"?><metalink xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><verification><hash type="sha256">aa</hash></verification><resources><url protocol="https" preference="1">https://m.example/repodata/repomd.xml</url></resources></file></files></metalink>'
/** of the text `hello` */
const bzip2 = Buffer.from(
  '425a683931415359265319316501000000810002440080002110834d1a6a3c2ee48a70a1206262ca02',
  'hex',
)

async function drained(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of chunks);
}

/** Registries, chart repositories, git, mirrors, and what the web answers. */
export const upstreamParsers: Parser[] = [
  textParser('image index', [JSON.stringify(index)], text =>
    parseManifest(Buffer.from(text), { mediaType: index.mediaType, item: 'x' }),
  ),
  textParser('image manifest', [JSON.stringify(manifest)], text =>
    parseManifest(Buffer.from(text), { mediaType: manifest.mediaType, item: 'x' }),
  ),
  valueParser(
    'names of artifacts',
    [[{ annotations: { 'org.opencontainers.image.ref.name': 'quay.io/a/b:1' } }]],
    value => {
      if (!Array.isArray(value) || value.some(one => typeof one?.annotations !== 'object')) return
      const texts = (one: { annotations: object | null }) =>
        Object.fromEntries(
          Object.entries(one.annotations ?? {}).filter(([, text]) => typeof text === 'string'),
        )
      checkArtifactNames(value.map(one => ({ ...one, annotations: texts(one) })))
    },
  ),
  textParser('platform', ['linux/arm64/v8', 'windows(10.0.17763)/amd64'], parsePlatform),
  valueParser('platform of an index', [{ os: 'linux', architecture: 'arm', variant: 'v7' }], readPlatform),
  textParser('image reference', [`registry.example:5000/a/b:1.0@${digest('a')}`, 'busybox'], parseReference),
  {
    name: 'chart archive',
    seeds: [chart],
    parse: bytes =>
      readChartArchive(Readable.from([gzipSync(bytes, { level: 1 })]), {
        name: 'app',
        version: '1.0.0',
        item: 'x',
      }),
    isSlow: true,
  },
  {
    name: 'chart archive, packed',
    seeds: [gzipSync(chart)],
    parse: bytes => readChartArchive(Readable.from([bytes]), { name: 'app', version: '1.0.0', item: 'x' }),
    isSlow: true,
  },
  textParser(
    'Chart.yaml',
    [chartYaml],
    text => {
      parseChartYaml(text)
      parseRequirements(text)
    },
    // readChartArchive turns both into one that names the archive
    { refusals: ['Error', 'ZodError'] },
  ),
  textParser('index.yaml', [chartIndex], text =>
    findInIndex(text, { repo: 'https://x/', name: 'app', version: '1.0.0' }),
  ),
  textParser('version of a chart', ['v1.2.3-rc.1+build', '1'], parseChartVersion),
  textParser('constraint of a version', ['>=1.2, <2 || ~3.x', '1.2 - 3.4', '^1'], parseConstraint),
  textParser('rendered release', [rendered], text =>
    collect([{ release: 'r', objects: renderedObjects(text, 'x') }]),
  ),
  textParser('glob', ['a/**/b*.{x,y}[!a-z]?'], text => globMatcher(text, { paths: true })('a/b/c/bb.x1')),
  {
    name: 'bzip2',
    seeds: [bzip2],
    parse: bytes => drained(bunzip2(Readable.from([bytes]))),
    refusals: ['Error', 'RangeError'],
  },
  { name: 'packets of git', seeds: [Buffer.from('0009want\n00000001')], parse: parsePackets },
  textParser(
    'message of git',
    ["fatal: repository 'https://x/' not found\nremote: HTTP Basic: Access denied"],
    text => remoteError(new Error(text), 'https://x/'),
  ),
  textParser('URL of git', ['https://h:1/a.git', 'git@h:a/b', 'ssh://h/a', '../../x'], text => {
    resolveSubmoduleUrl('https://h/a/b', text)
    checkGitUrl(text, { where: 'x', code: 'UPSTREAM_INVALID', file: 'refused' })
  }),
  textParser('list of mirrors', [metalink, 'https://a.example/x\n# c\nhttp://b.example/$basearch\n'], text =>
    fetchMirrorList(
      { url: 'https://list.example/', variables: { basearch: 'x86_64' } },
      { get: async () => ({ bytes: Buffer.from(text) }) as never },
    ),
  ),
  textParser(
    'netrc',
    ['machine h login u password "p q"\nmacdef x\n\ndefault login a password b # c'],
    text => {
      parseNetrc(text, { quotes: true })
      parseNetrc(text, { quotes: false })
    },
  ),
  textParser(
    'WWW-Authenticate',
    ['Bearer realm="https://a/token",service="x",scope="repository:a:pull", Basic realm=x'],
    parseChallenges,
  ),
  textParser('Content-Range', ['bytes 0-10/100'], contentRange),
  textParser('Retry-After', ['Wed, 21 Oct 2015 07:28:00 GMT', '120'], text => retryAfterMs(text, 0)),
  textParser('Link', ['</v2/_catalog?n=1&last=a>; rel="next", <x>; rel=prev'], text =>
    nextPage({ baseUrl: 'https://h', repository: 'a', host: 'h', name: 'h/a' }, text),
  ),
  textParser(
    'output of oras',
    ['Error: PUT "https://h/v2/a/b": response status code 404: name unknown: x'],
    text => orasFailure(text, 'h/a/b:1'),
  ),
  textParser('text with URLs', ['see https://u:p@h/x?token=a&b=c and u:p@h/x'], text => {
    redactText(text)
    redactUrl(text)
    withoutSecretParameters(text)
    withoutSecretQueries(text)
  }),
  textParser(
    'file of a tree',
    ['kind: Secret\ndata:\n  a: eA==\n', '[default]\naws_secret_access_key = abcd\n'],
    text => {
      for (const name of ['a.yaml', '.env', 'kubeconfig', 'x.json']) secretIn(name, Buffer.from(text))
    },
  ),
]
