import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadManifest } from '../../src/manifest/load.ts'
import { kubesprayMirrors, registryMirrors } from '../../src/site/registry-mirrors.ts'
import { settingsOf, setValues } from '../../src/values/set.ts'

const home = join(import.meta.dirname, '../..')
const groupVars = join(home, 'bundle/astrago/kubespray/inventory/group_vars')
const variables = async (name: string) =>
  parse(await readFile(join(groupVars, name), 'utf8')) as Record<string, unknown>

/** Matches any value of each variable in `{{ files_repo }}/get.helm.sh/helm-{{ helm_version }}.tgz`. */
function patternOf(template: string): RegExp {
  const parts = template
    .replace('{{ files_repo }}/', '')
    .split(/\{\{.*?\}\}/)
    .map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('[^/]+')}$`)
}

describe("kubespray's inventory", () => {
  it('downloads from the site the files that the bundle has, from their paths there', async () => {
    const offline = await variables('all/offline.yml')
    const patterns = Object.entries(offline)
      .filter(([name]) => name.endsWith('_download_url'))
      .map(([name, template]) => ({ name, pattern: patternOf(String(template)) }))
    const variants = ['arm64', 'crio', 'crio-arm64', 'kubespray-optional', 'kubespray-optional-arm64']
    const { files } = await loadManifest(join(home, 'manifests/astrago.yaml'), { variants })
    const paths = files.map(({ path }) => path)
    const unserved = patterns.filter(({ pattern }) => !paths.some(path => pattern.test(path)))
    expect(unserved).toEqual([])
    // not for kubespray: its own archive, the theme, and tools of the deployment host
    const others = /kubespray\/archive|keycloak-theme|helmfile|oras|helm-v3\.16/
    expect(
      paths.filter(path => !others.test(path) && !patterns.some(({ pattern }) => pattern.test(path))),
    ).toEqual([])
    expect(patterns.length).toBe(23)
  })

  it('pulls every image from the site: by its name there, or through a mirror of its registry', async () => {
    const offline = await variables('all/offline.yml')
    for (const name of ['kube', 'gcr', 'github', 'docker', 'quay'])
      expect(offline[`${name}_image_repo`], name).toBe('{{ registry_host }}')
    const lists = ['containerd_registries_mirrors', 'crio_registries', 'crio_insecure_registries'] as const
    for (const name of lists) expect(offline[name], name).toEqual([])
    const { images } = await loadManifest(join(home, 'manifests/astrago.yaml'), {
      variants: ['kubespray-optional'],
    })
    const upstreams = [...new Set(images.map(({ reference }) => reference.host))].sort()
    expect(upstreams.length).toBeGreaterThan(4)
    const address = { scheme: 'http', host: '10.0.0.10', registryPort: 35000, httpPort: 8080 } as const
    const set = kubesprayMirrors(registryMirrors({ address, upstreams }))
    expect(Object.keys(set).sort()).toEqual([...lists].sort())
    const text = await readFile(join(groupVars, 'all/offline.yml'), 'utf8')
    const written = parse(setValues(text, settingsOf({ ...set }), 'offline.yml')) as typeof set
    expect(written.containerd_registries_mirrors).toMatchObject(
      [...upstreams, '10.0.0.10:35000'].map(prefix => ({
        prefix,
        server: 'http://10.0.0.10:35000',
        mirrors: [{ host: 'http://10.0.0.10:35000', capabilities: ['pull', 'resolve'] }],
      })),
    )
    expect(written.crio_registries).toMatchObject(
      upstreams.map(prefix => ({ prefix, location: prefix, mirrors: [{ location: '10.0.0.10:35000' }] })),
    )
    expect(written.crio_insecure_registries).toEqual(['10.0.0.10:35000'])
  })

  it('is the cluster of Astrago’s component document, without add-ons', async () => {
    expect(await variables('k8s_cluster/k8s-cluster.yml')).toMatchObject({
      kube_version: 'v1.28.6',
      kube_network_plugin: 'calico',
      kube_proxy_mode: 'ipvs',
      dns_mode: 'coredns',
      enable_nodelocaldns: true,
    })
    expect(Object.values(await variables('k8s_cluster/addons.yml')).filter(value => value !== false)).toEqual(
      [],
    )
  })
})
