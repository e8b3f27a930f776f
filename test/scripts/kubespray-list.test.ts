import { spawnSync } from 'node:child_process'
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openAnsible } from '../../scripts/lib/kubespray/ansible.ts'
import { conditionsOf, downloadsOfRoles, readEngineRoles } from '../../scripts/lib/kubespray/roles.ts'
import { isErrorCode } from '../../src/core/errors.ts'

/** The script on a small fixture of kubespray, with the real ansible. */

const checkout = join(import.meta.dirname, 'fixtures', 'kubespray')
const script = join(import.meta.dirname, '../../scripts/kubespray-list')
let work: string

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'airgap-kubespray-test-'))
})
afterAll(() => rm(work, { recursive: true, force: true }))

/** undefined without Python or PyPI: the tests that need it are skipped */
const ansible = await openAnsible(checkout, () => undefined).catch(error => {
  if (isErrorCode(error, 'NETWORK', 'TOOL_MISSING')) return undefined
  throw error
})

const sha256 = {
  kubelet: 'ae14716d870f6bd3b1d1fcf1819c7e22d5c1d98e78d1b880e8c55d80c525b47c',
  kubeletArm: 'a36c978d9881916cb9039047d31d69a013573aebafabf132fa6cec01cb6638d7',
}

interface Report {
  containerManager: string
  files: { name: string; url: string; architectures: string[]; sha256?: string; needed: boolean }[]
  images: { reference: string; needed: boolean }[]
  difference: {
    missing: { files: { url: string }[]; images: { reference: string }[] }
    additional: { files: { name: string; why: string }[]; images: { name: string; why: string }[] }
    different: { url: string; kubespray: string; manifest: string | null }[]
  }
  site: { name: string; address?: string; why: string }[]
  findings: number
}

function list(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(script, args, { encoding: 'utf8' })
}

function report(text: string): Report {
  return JSON.parse(text) as Report
}

/** Files as `url sha256` pairs. */
async function manifest(entries: {
  files: [string, (string | undefined)?][]
  images: string[]
  variants?: object
}): Promise<string> {
  const folder = await mkdtemp(join(work, 'stack-'))
  const files = entries.files.map(([url, sha256]) => ({ url, ...(sha256 ? { sha256 } : {}) }))
  await writeFile(join(folder, 'kubernetes.txt'), entries.images.join('\n'))
  const images = [{ list: 'kubernetes.txt', usedBy: 'kubespray' }, 'docker.io/library/registry:3.0.0']
  const { variants = {} } = entries
  const stack = { apiVersion: 'airgap/v1', name: 'x', version: '1.0.0', images, files, variants }
  await writeFile(join(folder, 'stack.yaml'), JSON.stringify(stack))
  return join(folder, 'stack.yaml')
}

/** A manifest with what a report lists as needed. */
async function fitting({ files, images }: Report): Promise<string> {
  return await manifest({
    files: files.filter(file => file.needed).map(file => [file.url, file.sha256]),
    images: images.filter(image => image.needed).map(image => image.reference),
  })
}

const kubelet = 'https://dl.k8s.io/release/v1.0.1/bin/linux/amd64/kubelet'
const runc = 'https://github.com/opencontainers/runc/releases/download/v1.1.1/runc.amd64'

describe.skipIf(ansible === undefined)(
  'kubespray-list (needs ansible from PyPI)',
  { timeout: 180_000 },
  () => {
    it('lists what the generator lists, with checksums, needed and optional, for two architectures', async () => {
      const empty = await manifest({ files: [], images: ['registry.k8s.io/pause:3.9'] })
      const { status, stdout } = list(
        checkout,
        '--arch',
        'amd64,arm64',
        '--manifest',
        empty,
        '--output',
        'json',
      )
      expect(status).toBe(3)
      const { files, images } = report(stdout)
      const of = (needed: boolean) => files.filter(file => file.needed === needed).map(file => file.name)
      expect(of(true).sort()).toEqual([
        'calico_crds',
        'containerd',
        'containerd',
        'kubelet',
        'kubelet',
        'runc',
        'runc',
      ])
      expect(of(false).sort()).toEqual([
        'crio',
        'crio',
        'kata_containers',
        'kata_containers',
        'skopeo',
        'skopeo',
      ])
      expect(files.filter(file => file.name === 'kubelet')).toEqual([
        { name: 'kubelet', url: kubelet, architectures: ['amd64'], sha256: sha256.kubelet, needed: true },
        {
          name: 'kubelet',
          url: kubelet.replace('amd64', 'arm64'),
          architectures: ['arm64'],
          sha256: sha256.kubeletArm,
          needed: true,
        },
      ])
      expect(files.find(file => file.name === 'skopeo')?.sha256).toMatch(/^[0-9a-f]{64}$/)
      // one archive for both architectures, and one without a checksum
      expect(files.find(file => file.name === 'calico_crds')?.architectures).toEqual(['amd64', 'arm64'])
      expect(files.find(file => file.url.endsWith('aarch64.tar.xz'))).not.toHaveProperty('sha256')
      expect(images).toEqual([
        { name: 'registry', reference: 'docker.io/library/registry:2.8.1', needed: false },
        { name: 'calico_node', reference: 'quay.io/calico/node:v3.0.0', needed: true },
        { name: 'kube-apiserver', reference: 'registry.k8s.io/kube-apiserver:v1.0.1', needed: true },
        { name: 'kube-proxy', reference: 'registry.k8s.io/kube-proxy:v1.0.1', needed: true },
        { name: 'pod_infra', reference: 'registry.k8s.io/pause:3.9', needed: true },
      ])

      const equal = list(checkout, '--manifest', await fitting(report(stdout)), '-o', 'json')
      expect(equal.stderr).toBe('')
      expect(equal.status).toBe(0)
      expect(report(equal.stdout).findings).toBe(0)
      expect(await readdir(join(checkout, 'contrib/offline'))).toEqual([
        'generate_list.sh',
        'generate_list.yml',
      ])
    })

    it('reports what is missing, additional and different', async () => {
      const crds = 'https://github.com/projectcalico/calico/archive/v3.0.0.tar.gz'
      const containerd =
        'https://github.com/containerd/containerd/releases/download/v1.7.0/containerd-1.7.0-linux-amd64.tar.gz'
      const stack = await manifest({
        files: [[kubelet, 'f'.repeat(64)], [crds], [runc.replace('v1.1.1', 'v1.1.0')], [containerd]],
        images: [
          'registry.k8s.io/pause:3.9',
          'quay.io/calico/node:v2.9.9',
          'docker.io/library/registry:2.8.1',
        ],
      })
      const { status, stdout, stderr } = list(checkout, '--manifest', stack, '-o', 'json')
      expect(status).toBe(3)
      expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'DIFFERENT', item: stack } })
      const { missing, additional, different } = report(stdout).difference
      expect(missing.files.map(file => file.url)).toEqual([
        'https://github.com/containerd/containerd/releases/download/v1.7.1/containerd-1.7.1-linux-amd64.tar.gz',
        runc,
      ])
      expect(missing.images.map(image => image.reference)).toEqual([
        'quay.io/calico/node:v3.0.0',
        'registry.k8s.io/kube-apiserver:v1.0.1',
        'registry.k8s.io/kube-proxy:v1.0.1',
      ])
      expect(additional.files.map(file => file.name)).toEqual([runc.replace('v1.1.1', 'v1.1.0'), containerd])
      expect(additional.files[0]?.why).toBe(`another version is needed: ${runc}`)
      // registry:3.0.0 is in none of kubespray's lists
      expect(additional.images.map(image => image.name)).toEqual([
        'quay.io/calico/node:v2.9.9',
        'docker.io/library/registry:2.8.1',
      ])
      expect(different).toMatchObject([
        { url: kubelet, kubespray: sha256.kubelet, manifest: 'f'.repeat(64) },
        { url: crds, manifest: null },
      ])
    })

    it("takes container_manager from a group's variables, runc from cri-o's role, and addresses from the publishers", async () => {
      const inventory = join(work, 'site inventory')
      await cp(join(checkout, 'inventory/sample'), inventory, { recursive: true })
      await writeFile(join(inventory, 'group_vars/k8s_cluster/k8s-cluster.yml'), 'container_manager: crio\n')
      await writeFile(
        join(inventory, 'group_vars/all/offline.yml'),
        'kube_image_repo: site.example:35000\nkubelet_download_url: http://site.example/kubelet\n',
      )
      const stack = await manifest({
        files: [
          [kubelet, sha256.kubelet],
          [
            'https://github.com/containerd/containerd/releases/download/v1.7.1/containerd-1.7.1-linux-amd64.tar.gz',
          ],
        ],
        images: ['registry.k8s.io/pause:3.9'],
      })
      const { stdout } = list(checkout, '--inventory', inventory, '--manifest', stack, '-o', 'json')
      const { containerManager, files, difference } = report(stdout)
      expect(containerManager).toBe('crio')
      expect(files.filter(file => file.needed).map(file => file.name)).toEqual([
        'kubelet',
        'skopeo',
        'runc',
        'calico_crds',
        'crio',
      ])
      expect(difference.missing.images.map(image => image.reference)).not.toContain(
        'registry.k8s.io/pause:3.9',
      )
      expect(difference.additional.files).toMatchObject([{ why: 'optional, and disabled in this inventory' }])
    })

    it("evaluates the site's own addresses, and finds those that this kubespray or the site does not have", async () => {
      const inventory = join(work, 'mirror inventory')
      await cp(join(checkout, 'inventory/sample'), inventory, { recursive: true })
      const files = '{{ http_server }}/files'
      const github = `${files}/github.com`
      const offline = (more: Record<string, string>) => ({
        kube_image_repo: '{{ registry_host }}',
        quay_image_repo: '{{ registry_host }}',
        kubelet_download_url: `${files}/dl.k8s.io/release/{{ kube_version }}/bin/linux/{{ image_arch }}/kubelet`,
        containerd_download_url: `${github}/containerd/containerd/releases/download/v{{ containerd_version }}/containerd-{{ containerd_version }}-linux-{{ image_arch }}.tar.gz`,
        runc_download_url: `${github}/opencontainers/runc/releases/download/{{ runc_version }}/runc.{{ image_arch }}`,
        calico_crds_download_url: `${github}/projectcalico/calico/archive/{{ calico_version }}.tar.gz`,
        ...more,
      })
      const at = async (more: Record<string, string>) => {
        await writeFile(join(inventory, 'group_vars/all/offline.yml'), JSON.stringify(offline(more)))
        const stack = await manifest({ files: [], images: ['registry.k8s.io/pause:3.9'] })
        const { stdout } = list(checkout, '--inventory', inventory, '--manifest', stack, '-o', 'json')
        return report(stdout).site
      }
      expect(await at({})).toEqual([])
      expect(
        await at({
          kubelet_download_url: `${files}/dl.k8s.io/release/{{ kubelet_version }}/kubelet`,
          // as a version with v, in the form for versions without
          runc_download_url: `${github}/opencontainers/runc/releases/download/v{{ runc_version }}/runc.{{ image_arch }}`,
          calico_crds_download_url: 'https://mirror.example/calico.tar.gz',
          quay_image_repo: '{{ registry_host }}/quay',
        }),
      ).toEqual([
        { name: 'kubelet', why: expect.stringContaining("'kubelet_version' is undefined") },
        {
          name: 'runc',
          address:
            'http://files.airgap.invalid:8080/files/github.com/opencontainers/runc/releases/download/vv1.1.1/runc.amd64',
          why: expect.stringContaining('404'),
        },
        {
          name: 'calico_crds',
          address: 'https://mirror.example/calico.tar.gz',
          why: 'it is not an address of the site',
        },
        {
          name: 'calico_node',
          address: 'registry.airgap.invalid:35000/quay/calico/node:v3.0.0',
          why: expect.stringContaining('404'),
        },
      ])
    })

    it('gives --set precedence, takes entries of variants, and allows optional ones where requested; prints text', async () => {
      const containerd =
        'https://github.com/containerd/containerd/releases/download/v1.7.1/containerd-1.7.1-linux-amd64.tar.gz'
      const stack = await manifest({
        files: [[containerd]],
        images: ['registry.k8s.io/pause:3.9'],
        variants: { nodes: { description: 'x', files: [{ url: kubelet, sha256: sha256.kubelet }] } },
      })
      const { status, stdout, stderr } = list(
        checkout,
        '--manifest',
        stack,
        '--with',
        'nodes',
        '--allow-optional',
        '--set',
        'container_manager=crio',
        'registry_enabled=true',
      )
      expect(status).toBe(3)
      expect(stderr).toContain('error DIFFERENT: ')
      expect(stdout).toContain('Kubernetes v1.0.1, crio, calico\n')
      const missing = stdout.slice(stdout.indexOf('MISSING'))
      expect(missing).toContain('cri-o.amd64.v1.0.0.tar.gz')
      expect(missing).toContain('docker.io/library/registry:2.8.1')
      expect(missing).not.toContain(kubelet)
      expect(missing).not.toContain('ADDITIONAL')
      // in the manifest without the checksum that kubespray has
      expect(missing).toContain(`DIFFERENT sha256: 1\n  ${containerd}\n`)
    })

    it('reports the output of ansible where a version has no checksum', async () => {
      const stack = await manifest({ files: [], images: ['registry.k8s.io/pause:3.9'] })
      const { status, stderr } = list(checkout, '--manifest', stack, '--set', 'kube_version=v9.9.9')
      expect(status).toBe(4)
      expect(stderr).toContain('error RENDER_FAILED')
      expect(stderr).toContain("has no attribute 'v9.9.9'")
    })
  },
)

describe('kubespray-list without ansible', () => {
  it('reports a checkout without a generator', async () => {
    const folder = join(work, 'no generator')
    await cp(checkout, folder, { recursive: true })
    await rm(join(folder, 'contrib'), { recursive: true })
    const { status, stderr } = list(folder)
    expect(status).toBe(2)
    expect(stderr).toContain('error FILE_NOT_FOUND: the checkout has no contrib/offline/generate_list.sh\n')
    expect(stderr).toContain(`  item:   ${folder}\n`)
    expect(stderr).toMatch(/ {2}likely: .*\n {2}next: {3}.*\n/)
  })

  it('reports an inventory without hosts, a missing checkout, and the options', () => {
    const hosts = list(checkout, '--inventory', work)
    expect([hosts.status, hosts.stderr]).toEqual([
      2,
      expect.stringContaining('the inventory has no hosts file'),
    ])
    const nothing = list()
    expect([nothing.status, nothing.stderr]).toEqual([2, expect.stringContaining('--inventory DIR')])
    expect(list(checkout, '--wrong').stderr).toContain("error USAGE: Unknown option '--wrong'")
    expect(list(checkout, '--arch', 'sparc').stderr).toContain('unsupported architecture')
  })

  it('follows the roles of container engines, and evaluates only conditions that downloads depend on', async () => {
    const roles = await readEngineRoles(checkout)
    const crio = "container_manager == 'crio'"
    expect(Object.keys(conditionsOf(roles)).sort()).toEqual(["container_manager == 'containerd'", crio])
    expect([...downloadsOfRoles(roles, condition => condition === crio)].sort()).toEqual([
      'crio',
      'runc',
      'skopeo',
    ])
  })
})
