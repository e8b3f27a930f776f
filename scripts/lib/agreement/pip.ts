import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { home } from '../places.ts'

/** Counts how often our wheelhouse is what pip would install: `node scripts/lib/agreement/pip.ts [REQUIREMENT…]`. */

const requests =
  process.argv.length > 2
    ? process.argv.slice(2)
    : [
        'ansible==8.5.0',
        'ansible-core',
        'flask',
        'django',
        'requests[socks]',
        'boto3',
        'botocore==1.34.0',
        'jupyterlab',
        'pandas',
        'scipy',
        'matplotlib',
        'scikit-learn',
        'fastapi[standard]',
        'uvicorn[standard]',
        'httpx[http2]',
        'celery[redis]',
        'sqlalchemy[asyncio]',
        'poetry',
        'black[d]',
        'pylint',
        'pytest pytest-cov pytest-xdist',
        'sphinx',
        'mkdocs-material',
        'kubernetes',
        'openstacksdk',
        'paramiko',
        'ansible-lint',
        'molecule',
        'apache-airflow==2.10.5',
        'google-cloud-storage',
        'azure-identity',
        'pydantic<2',
        'numpy<2 pandas<2.2',
        'jinja2==3.1.2 ruamel.yaml==0.17.35',
        'tox',
        'twine',
      ]

const work = await mkdtemp(join(tmpdir(), 'airgap-pip-'))
const index = process.env['AIRGAP_PIP_INDEX'] ?? 'https://pypi.org/simple/'

function pip(request: string): { set: string[] | undefined; seconds: number } {
  const started = performance.now()
  const report = join(work, 'report.json')
  const { status } = spawnSync(
    'python3.11',
    [
      '-m',
      'pip',
      'install',
      '--dry-run',
      '--ignore-installed',
      '--quiet',
      '--report',
      report,
      '--only-binary=:all:',
      '--target',
      join(work, 'target'),
      '--python-version',
      '3.11',
      '--implementation',
      'cp',
      '--index-url',
      index,
      // pip takes a platform literally: the older ones must be listed, too
      ...['28', '27', '26', '24', '17', '12', '5'].flatMap(minor => [
        '--platform',
        `manylinux_2_${minor}_x86_64`,
      ]),
      ...['manylinux2014', 'manylinux2010', 'manylinux1', 'linux'].flatMap(name => [
        '--platform',
        `${name}_x86_64`,
      ]),
      ...request.split(' '),
    ],
    { encoding: 'utf8' },
  )
  const seconds = (performance.now() - started) / 1000
  if (status !== 0) return { set: undefined, seconds }
  const { stdout } = spawnSync(
    'python3.11',
    [
      '-c',
      `import json; print(json.dumps([(p["metadata"]["name"], p["metadata"]["version"]) for p in json.load(open(${JSON.stringify(report)}))["install"]]))`,
    ],
    { encoding: 'utf8' },
  )
  const found = JSON.parse(stdout) as [string, string][]
  return {
    set: found.map(([name, version]) => `${name.toLowerCase().replace(/[-_.]+/g, '-')} ${version}`).sort(),
    seconds,
  }
}

async function ours(request: string): Promise<{ set: string[] | undefined; seconds: number }> {
  const manifest = join(work, 'stack.yaml')
  const packages = request.split(' ').map(one => JSON.stringify(one))
  await writeFile(
    manifest,
    `apiVersion: airgap/v1\nname: x\nversion: 1.0.0\nwheels:\n  - {name: x, indexes: [${JSON.stringify(index)}], packages: [${packages.join(', ')}], pythons: ['3.11']}\n`,
  )
  const started = performance.now()
  const { status } = spawnSync(
    process.execPath,
    [join(home, 'src/cli/airgap.ts'), 'lock', '-f', manifest, '--cache', join(work, 'cache'), '--quiet'],
    { encoding: 'utf8' },
  )
  const seconds = (performance.now() - started) / 1000
  if (status !== 0) return { set: undefined, seconds }
  const lock = JSON.parse(await readFile(join(work, 'stack.lock.json'), 'utf8')) as {
    items: { wheel: { distributions: { project: string; version: string }[] }[] }
  }
  return {
    set: lock.items.wheel[0]!.distributions.map(one => `${one.project} ${one.version}`).sort(),
    seconds,
  }
}

let equal = 0
let times = { pip: 0, ours: 0 }
for (const request of requests) {
  const [theirs, own] = [pip(request), await ours(request)]
  const same = JSON.stringify(theirs.set) === JSON.stringify(own.set)
  if (same) equal++
  times = { pip: times.pip + theirs.seconds, ours: times.ours + own.seconds }
  const count = theirs.set === undefined ? 'none' : `${theirs.set.length}`
  console.log(
    `${same ? 'equal ' : 'DIFFER'} ${request}  ${count}  pip ${theirs.seconds.toFixed(1)} s, ours ${own.seconds.toFixed(1)} s`,
  )
  if (same) continue
  const only = (a: string[] | undefined, b: string[] | undefined) =>
    (a ?? ['(no answer)']).filter(one => !(b ?? []).includes(one))
  console.log(
    `   only pip: ${only(theirs.set, own.set).join(', ')}\n   only ours: ${only(own.set, theirs.set).join(', ')}`,
  )
}
console.log(
  `${equal} of ${requests.length} equal; pip ${times.pip.toFixed(0)} s, ours ${times.ours.toFixed(0)} s`,
)
await rm(work, { recursive: true, force: true })
