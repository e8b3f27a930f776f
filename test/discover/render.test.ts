import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { discover } from '../../src/discover/discover.ts'
import { missing } from '../kinds/deb/support/programs.ts'

const tools = resolve(import.meta.dirname, '../../.tools/bin')
process.env['PATH'] = `${tools}:${process.env['PATH']}`
const lacking = missing('helm', 'helmfile')

const files = {
  'helmfile.yaml': `environments:
  prod: {values: [{offline: {registry: '', httpServer: ''}}]}
  stage: {values: [{offline: {registry: '', httpServer: ''}, broken: true}]}
---
releases:
  - name: app
    chart: ./chart
    values:
      - registry: {{ .Values.offline.registry | quote }}
        {{- if hasKey .Values "broken" }}
        replicas: wrong
        {{- end }}
`,
  'chart/Chart.yaml': 'apiVersion: v2\nname: app\nversion: 1.0.0\n',
  'chart/templates/pod.yaml': `{{- if .Values.replicas }}{{ fail (printf "replicas must be a number, not %v" .Values.replicas) }}{{ end }}
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  containers:
    - {name: app, image: "{{ with .Values.registry }}{{ . }}/{{ end }}library/nginx:1.26"}
    - {name: leak, image: "quay.io/a/leak:1"}
`,
}

describe.skipIf(lacking.length > 0)(`releases (needs ${lacking.join(', ') || 'nothing else'})`, () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airgap-render-'))
    await mkdir(join(folder, 'chart/templates'), { recursive: true })
    for (const [path, text] of Object.entries(files)) await writeFile(join(folder, path), text)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const render = (environment: string, values: string[] = []) =>
    discover([{ helmfile: join(folder, 'helmfile.yaml'), environment, values }], {
      helm: 'helm',
      helmfile: 'helmfile',
      signal: new AbortController().signal,
    })

  it('are rendered with and without the addresses of the site', async () => {
    const { images, releases } = await render('prod')
    expect(releases).toEqual(['app (app)'])
    expect(images.map(({ upstream, leak }) => [upstream, leak])).toEqual([
      ['docker.io/library/nginx:1.26', false],
      ['quay.io/a/leak:1', true],
    ])
  })

  it('that fail to render are named, with the message of helm and their values files', async () => {
    const values = join(folder, 'own.yaml')
    await writeFile(values, 'a: 1\n')
    await expect(render('stage', [values])).rejects.toMatchObject({
      code: 'RENDER_FAILED',
      item: `${folder}/helmfile.yaml: environment stage, release app`,
      likely: expect.stringMatching(
        /^execution error at \(app\/templates\/pod\.yaml.*: replicas must be a number, not wrong$/,
      ),
      next: expect.stringContaining(`check the values of this release (environment stage, ${values})`),
    })
  })

  it('of an unknown environment are refused', async () => {
    await expect(render('nowhere')).rejects.toMatchObject({
      code: 'USAGE',
      item: expect.stringContaining('nowhere'),
    })
  })
})
