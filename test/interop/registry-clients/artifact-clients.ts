import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../../scripts/lib/run.ts'
import { type Cell, equal, includes, type Operation, own, type Place, tag } from './place.ts'

/** Clients of charts and artifacts. */

const artifactType = 'application/vnd.example.note'

const helm = (place: Place, ...args: string[]) =>
  run(['helm', ...args], { cwd: place.folder, env: { PATH: process.env['PATH'], HOME: place.folder } })
const helmTls = (place: Place) => (place.tls ? ['--ca-file', place.caFile] : ['--plain-http'])
const helmLogin = (place: Place, isPush: boolean) =>
  isPush || place.loginToPull ? ['--registry-config', place.config] : []

export const helmCells: Partial<Record<Operation, Cell['run']>> = {
  async pull(place) {
    const { user, password } = place.login
    const login = place.loginToPull ? ['--username', user, '--password', password] : []
    const repo = ['--repo', `${place.http}/charts`, '--version', '1.0.0', ...login]
    await helm(place, 'pull', 'demo', ...repo, ...(place.tls ? ['--ca-file', place.caFile] : []))
    includes(await helm(place, 'template', 'x', 'demo-1.0.0.tgz'), 'kind: ConfigMap')
  },
  async chart(place) {
    const from = [`oci://${place.registry}/charts/demo`, '--version', '1.0.0']
    await helm(place, 'pull', ...from, ...helmTls(place), ...helmLogin(place, false))
    includes(await helm(place, 'template', 'x', 'demo-1.0.0.tgz'), 'kind: ConfigMap')
  },
  async push(place) {
    await helmCells.chart!(place)
    await mkdir(join(place.folder, 'again'))
    const to = `oci://${place.registry}/team/${tag(place)}`
    await helm(place, 'push', 'demo-1.0.0.tgz', to, ...helmTls(place), ...helmLogin(place, true))
    const from = [`${to}/demo`, '--version', '1.0.0', '-d', 'again']
    await helm(place, 'pull', ...from, ...helmTls(place), ...helmLogin(place, true))
  },
}

const oras = (place: Place, ...args: string[]) => run(['oras', ...args], { cwd: place.folder })
const orasTls = (place: Place) => (place.tls ? ['--ca-file', place.caFile] : ['--plain-http'])
const orasOptions = (place: Place, isPush: boolean) => [
  ...orasTls(place),
  ...(isPush || place.loginToPull ? ['--registry-config', place.config] : []),
]

export const orasCells: Partial<Record<Operation, Cell['run']>> = {
  async pull(place) {
    await oras(
      place,
      'copy',
      ...orasSide(place, 'from', false),
      '--to-oci-layout',
      `${place.registry}/library/sample:1`,
      'layout:1',
    )
  },
  async push(place) {
    await orasCells.pull!(place)
    await oras(
      place,
      'copy',
      '--from-oci-layout',
      ...orasSide(place, 'to', true),
      'layout:1',
      own(place, 'oras'),
    )
  },
  async mirror(place) {
    // what a mirror between registries does: from one name to another
    const [from, to] = [`${place.registry}/library/sample:1`, own(place, 'oras-mirror')]
    await oras(
      place,
      'copy',
      '-r',
      ...orasSide(place, 'from', true),
      ...orasSide(place, 'to', true),
      from,
      to,
    )
    includes(await oras(place, 'discover', ...orasOptions(place, true), to), 'application/vnd.example.sbom')
  },
  async chart(place) {
    await oras(place, 'pull', ...orasOptions(place, false), `${place.registry}/charts/demo:1.0.0`)
  },
  async artifact(place) {
    await writeFile(join(place.folder, 'note.txt'), 'a note')
    const to = own(place, 'oras-artifact')
    await oras(
      place,
      'push',
      ...orasOptions(place, true),
      '--artifact-type',
      artifactType,
      to,
      'note.txt:text/plain',
    )
    await writeFile(join(place.folder, 'note.txt'), '')
    await oras(place, 'pull', ...orasOptions(place, true), to)
    equal(await readFile(join(place.folder, 'note.txt'), 'utf8'), 'a note')
  },
  async referrers(place) {
    const image = `${place.registry}/library/sample:1`
    includes(
      await oras(place, 'discover', ...orasOptions(place, false), image),
      'application/vnd.example.sbom',
    )
    await writeFile(join(place.folder, 'note.txt'), 'about the image')
    await oras(
      place,
      'attach',
      ...orasOptions(place, true),
      '--artifact-type',
      artifactType,
      image,
      'note.txt:text/plain',
    )
    includes(await oras(place, 'discover', ...orasOptions(place, true), image), artifactType)
  },
}

function orasSide(place: Place, side: 'from' | 'to', isPush: boolean): string[] {
  const tls = place.tls ? [`--${side}-ca-file`, place.caFile] : [`--${side}-plain-http`]
  return [...tls, ...(isPush || place.loginToPull ? [`--${side}-registry-config`, place.config] : [])]
}

const crane = (place: Place, isPush: boolean, ...args: string[]) =>
  run(['crane', ...args, ...(place.tls ? [] : ['--insecure'])], {
    env: {
      ...process.env,
      SSL_CERT_FILE: place.caFile,
      DOCKER_CONFIG: isPush || place.loginToPull ? join(place.config, '..') : place.folder,
    },
  })

export const craneCells: Partial<Record<Operation, Cell['run']>> = {
  async pull(place) {
    await crane(place, false, 'pull', `${place.registry}/library/sample:1`, join(place.folder, 'image.tar'))
  },
  async push(place) {
    await craneCells.pull!(place)
    await crane(place, true, 'push', join(place.folder, 'image.tar'), own(place, 'crane'))
    includes(await crane(place, true, 'manifest', own(place, 'crane')), 'layers')
  },
  async mirror(place) {
    const [from, to] = [`${place.registry}/library/sample:1`, own(place, 'crane-mirror')]
    await crane(place, true, 'copy', from, to)
    equal(await crane(place, true, 'digest', to), await crane(place, true, 'digest', from))
  },
  async chart(place) {
    includes(await crane(place, false, 'manifest', `${place.registry}/charts/demo:1.0.0`), 'helm.chart')
  },
}
