import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse, stringify } from 'yaml'
import { clusterEnvironment } from '../../src/install/kube.ts'
import { adoptKubeconfig, previewCluster } from '../../src/install/kubeconfig.ts'
import { apiServers } from '../../src/inventory/api-servers.ts'
import { parseSiteFile } from '../../src/inventory/site-file.ts'

const pem = (text: string) => Buffer.from(`-----BEGIN ${text}-----\n`).toString('base64')

/** As kubespray writes it from /etc/kubernetes/admin.conf of a node. */
const fetched = {
  apiVersion: 'v1',
  clusters: [
    {
      cluster: { 'certificate-authority-data': pem('CA'), server: 'https://10.0.0.1:6443' },
      name: 'cluster.local',
    },
  ],
  contexts: [
    {
      context: { cluster: 'cluster.local', user: 'kubernetes-admin-cluster.local' },
      name: 'kubernetes-admin-cluster.local@cluster.local',
    },
  ],
  'current-context': 'kubernetes-admin-cluster.local@cluster.local',
  kind: 'Config',
  preferences: {},
  users: [
    {
      name: 'kubernetes-admin-cluster.local',
      user: { 'client-certificate-data': pem('CERTIFICATE'), 'client-key-data': pem('KEY') },
    },
  ],
}

type Parts = {
  cluster: Record<string, unknown>
  user: Record<string, unknown>
  config: Record<string, unknown>
}

/** The same with one thing changed. */
function changed(edit: (parts: Parts) => void): string {
  const config = structuredClone(fetched)
  edit({ cluster: config.clusters[0]!.cluster, user: config.users[0]!.user, config })
  return stringify(config)
}

async function adopt(text: string, servers: readonly string[] | undefined = ['10.0.0.1']) {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-kubeconfig-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const [path, kubeconfig] = [join(folder, 'admin.conf'), join(folder, 'kubeconfig')]
  await writeFile(path, text)
  const cluster = { kubeconfig, fetched: { path, servers } }
  return { folder, path, kubeconfig, cluster, adopted: adoptKubeconfig(cluster) }
}

describe('adoptKubeconfig (fault 113)', () => {
  it('writes the data alone, in a file for root alone, with names of its own', async () => {
    const { adopted, kubeconfig, cluster } = await adopt(stringify(fetched))
    await adopted
    const text = await readFile(kubeconfig, 'utf8')
    expect(parse(text)).toEqual({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'site',
      clusters: [{ name: 'site', cluster: fetched.clusters[0]!.cluster }],
      contexts: [{ name: 'site', context: { cluster: 'site', user: 'administrator' } }],
      users: [{ name: 'administrator', user: fetched.users[0]!.user }],
    })
    const before = await stat(kubeconfig)
    expect(before.mode & 0o777).toBe(0o600)
    await adoptKubeconfig(cluster)
    expect((await stat(kubeconfig)).ino).toBe(before.ino)
    await writeFile(kubeconfig, 'edited')
    await adoptKubeconfig(cluster)
    expect(await readFile(kubeconfig, 'utf8')).toBe(text)
  })

  it('takes a token, and JSON as well as YAML', async () => {
    const config = structuredClone(fetched)
    const { adopted, kubeconfig } = await adopt(
      JSON.stringify({ ...config, users: [{ ...config.users[0]!, user: { token: 'eyJhbGciOi.J9-_' } }] }),
    )
    await adopted
    expect(parse(await readFile(kubeconfig, 'utf8')).users[0].user).toEqual({ token: 'eyJhbGciOi.J9-_' })
  })

  it('does nothing before kubespray has run, or where site.yaml names a kubeconfig', async () => {
    const { path, kubeconfig, cluster, adopted } = await adopt(stringify(fetched))
    await adopted
    await rm(path)
    const before = await readFile(kubeconfig, 'utf8')
    await adoptKubeconfig(cluster)
    await adoptKubeconfig({ kubeconfig: '/nowhere' })
    expect(await readFile(kubeconfig, 'utf8')).toBe(before)
  })

  it.each<[string, string]>([
    [
      'exec',
      changed(({ user }) =>
        Object.assign(user, {
          exec: { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/sh', args: ['-c', 'id'] },
        }),
      ),
    ],
    [
      'exec alone',
      changed(({ config }) =>
        Object.assign(config, { users: [{ name: 'a', user: { exec: { command: 'id' } } }] }),
      ),
    ],
    [
      'auth-provider',
      changed(({ user }) =>
        Object.assign(user, { 'auth-provider': { name: 'gcp', config: { 'cmd-path': '/bin/sh' } } }),
      ),
    ],
    ['tokenFile', changed(({ user }) => Object.assign(user, { tokenFile: '/etc/shadow' }))],
    [
      'client-certificate',
      changed(({ user }) => Object.assign(user, { 'client-certificate': '/etc/shadow' })),
    ],
    ['client-key', changed(({ user }) => Object.assign(user, { 'client-key': '/root/.ssh/id_rsa' }))],
    ['password', changed(({ user }) => Object.assign(user, { username: 'a', password: 'b' }))],
    ['as', changed(({ user }) => Object.assign(user, { as: 'system:admin' }))],
    ['proxy-url', changed(({ cluster }) => Object.assign(cluster, { 'proxy-url': 'http://10.0.0.9:3128' }))],
    [
      'insecure-skip-tls-verify',
      changed(({ cluster }) => Object.assign(cluster, { 'insecure-skip-tls-verify': true })),
    ],
    [
      'certificate-authority',
      changed(({ cluster }) => Object.assign(cluster, { 'certificate-authority': '/etc/shadow' })),
    ],
    ['tls-server-name', changed(({ cluster }) => Object.assign(cluster, { 'tls-server-name': 'other' }))],
    [
      'extensions',
      changed(({ config }) => Object.assign(config, { extensions: [{ name: 'a', extension: {} }] })),
    ],
    ['colors', changed(({ config }) => Object.assign(config, { preferences: { colors: true } }))],
  ])('refuses %s, and names it', async (key, text) => {
    const { adopted, kubeconfig, path } = await adopt(text)
    await expect(adopted).rejects.toMatchObject({
      code: 'STEP_FAILED',
      message: expect.stringContaining(`unknown key "${key.split(' ')[0]}"`),
      item: expect.stringMatching(new RegExp(`^${path}:\\d+:\\d+$`)),
      next: expect.stringContaining('reinstall'),
    })
    await expect(stat(kubeconfig)).rejects.toThrow()
  })

  it.each<[string, string]>([
    ['no certificate of the server', changed(({ cluster }) => delete cluster['certificate-authority-data'])],
    [
      'a certificate that is not base64',
      changed(({ cluster }) => Object.assign(cluster, { 'certificate-authority-data': '/etc/shadow\n' })),
    ],
    [
      'no credentials',
      changed(({ user }) => {
        delete user['client-certificate-data']
        delete user['client-key-data']
      }),
    ],
    ['a key alone', changed(({ user }) => delete user['client-certificate-data'])],
    ['a token of two lines', changed(({ user }) => Object.assign(user, { token: 'a\nX-Other: b' }))],
    [
      'two users',
      changed(({ config }) =>
        Object.assign(config, { users: [...fetched.users, { name: 'b', user: { token: 'a' } }] }),
      ),
    ],
    ['no cluster', changed(({ config }) => Object.assign(config, { clusters: [] }))],
    ['another context', changed(({ config }) => Object.assign(config, { 'current-context': 'other' }))],
    ['another kind', changed(({ config }) => Object.assign(config, { kind: 'List' }))],
    ['a key twice', `${stringify(fetched)}kind: Config\n`],
    ['several documents', `${stringify(fetched)}---\n${stringify(fetched)}`],
    ['a tag', stringify(fetched).replace('kind: Config', 'kind: !!js/function Config')],
    ['nothing', ''],
    ['no YAML', '\u0000\u0001'],
    [
      'a bomb of aliases',
      `a: &a [x]\nb: &b [*a, *a, *a, *a]\n${Array.from({ length: 30 }, (_, i) => `c${i}: &c${i} [${'*b, '.repeat(9)}*b]`).join('\n')}\n`,
    ],
    ['nested keys', `${stringify(fetched)}${'? '.repeat(20_000)}a\n`],
    ['nested lists', '['.repeat(60_000)],
    ['too much', ' '.repeat(70_000)],
    ['a key that forges a line', `${stringify(fetched)}"x\\n  next: run it as root": 1\n`],
  ])('refuses a file with %s', async (_what, text) => {
    const started = performance.now()
    const { adopted, kubeconfig } = await adopt(text)
    const error = await adopted.then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(error).toMatchObject({ code: 'STEP_FAILED' })
    expect(String(error)).not.toContain('\n  next: run it')
    expect(performance.now() - started).toBeLessThan(5_000)
    await expect(stat(kubeconfig)).rejects.toThrow()
  })

  it('refuses a folder, and a file that is not text', async () => {
    const { folder, kubeconfig, adopted } = await adopt(stringify(fetched))
    await adopted
    await symlink('/dev/zero', join(folder, 'endless'))
    await writeFile(join(folder, 'binary'), Buffer.from([0xff, 0xfe, 0x80]))
    for (const path of [folder, join(folder, 'endless'), join(folder, 'binary')])
      await expect(
        adoptKubeconfig({ kubeconfig, fetched: { path, servers: undefined } }),
      ).rejects.toMatchObject({
        code: 'STEP_FAILED',
        item: path,
      })
  })

  it('keeps what it took before site.yaml changed, and refuses a changed file', async () => {
    const { adopted, path, kubeconfig } = await adopt(stringify(fetched))
    await adopted
    const before = await readFile(kubeconfig, 'utf8')
    const cluster = { kubeconfig, fetched: { path, servers: ['10.0.0.7', 'cp-7'] } }
    await adoptKubeconfig(cluster)
    const edited = changed(({ user }) => {
      for (const key of Object.keys(user)) delete user[key]
      user.token = 'another'
    })
    await writeFile(path, edited)
    await expect(adoptKubeconfig(cluster)).rejects.toMatchObject({
      message: expect.stringContaining('outside this site: 10.0.0.1'),
      likely: expect.stringContaining('site.yaml changed'),
    })
    expect(await readFile(kubeconfig, 'utf8')).toBe(before)
    await rm(kubeconfig)
    await writeFile(path, stringify(fetched))
    await expect(adoptKubeconfig(cluster)).rejects.toMatchObject({ code: 'STEP_FAILED' })
  })

  it('previewCluster writes a private file while the kubeconfig is not up to date', async () => {
    const { adopted, kubeconfig, cluster, folder } = await adopt(stringify(fetched))
    await adopted
    const known = { ...cluster, bin: folder, home: folder }
    {
      await using current = await previewCluster(known)
      expect(clusterEnvironment(current).KUBECONFIG).toBe(kubeconfig)
    }
    const text = await readFile(kubeconfig, 'utf8')
    await rm(kubeconfig)
    let preview = ''
    {
      await using fresh = await previewCluster(known)
      preview = clusterEnvironment(fresh).KUBECONFIG!
      expect(await readFile(preview, 'utf8')).toBe(text)
      expect((await stat(preview)).mode & 0o777).toBe(0o600)
      expect((await stat(dirname(preview))).mode & 0o777).toBe(0o700)
    }
    await expect(stat(dirname(preview))).rejects.toThrow()
    await expect(stat(kubeconfig)).rejects.toThrow()
  })

  const withServer = (server: unknown) => changed(({ cluster }) => Object.assign(cluster, { server }))

  it.each<[string, string[]]>([
    ['https://10.0.0.1:6443', ['10.0.0.1']],
    ['https://10.0.0.1:6443/', ['10.0.0.2', '10.0.0.1']],
    ['https://10.0.0.1', ['10.0.0.1']],
    ['https://[fd00::1]:6443', ['fd00:0::0001']],
    ['https://cp-1:6443', ['10.0.0.1', 'cp-1']],
    ['https://LB.site.example:8443', ['lb.site.example']],
  ])('accepts the server %s where the site has %j', async (server, servers) => {
    await (await adopt(withServer(server), servers)).adopted
  })

  it.each([
    ...[
      'https://10.0.0.9:6443',
      'https://10.0.0.10:6443',
      'https://10.0.0.1.evil.example:6443',
      'https://evil.example',
    ],
    ...[
      'http://10.0.0.1:6443',
      'https://10.0.0.1:6443@evil.example',
      'https://evil.example#10.0.0.1',
      'unix:///run/x',
    ],
    ...[
      'https://10.0.0.1:6443/proxy',
      'https://10.0.0.1:6443/?a',
      'https://a:b@10.0.0.1:6443',
      ' https://10.0.0.1:6443',
    ],
    ...[
      'https://10.0.0.1:6443/..',
      'https://10.0.0.1\\@evil.example',
      '10.0.0.1:6443',
      'https://',
      '',
      1,
      null,
      ['https://10.0.0.1'],
    ],
  ])('refuses the server %j', async server => {
    await expect((await adopt(withServer(server))).adopted).rejects.toMatchObject({ code: 'STEP_FAILED' })
  })
})

describe('apiServers', () => {
  it('are the control-plane nodes, and the load balancer that site.yaml names', () => {
    const site = (kubespray: string) =>
      apiServers(
        parseSiteFile(
          `apiVersion: airgap-site/v1
nodes:
  - {name: cp-1, address: 10.0.0.1, roles: [control-plane]}
  - {name: w-1, address: 10.0.0.2, roles: [worker]}
kubespray: ${kubespray}
`,
          'site.yaml',
        ),
      )
    expect(site('{}')).toEqual(['10.0.0.1', 'cp-1'])
    expect(site('{loadbalancer_apiserver: {address: 10.0.0.100, port: 8443}}')).toEqual([
      '10.0.0.1',
      'cp-1',
      '10.0.0.100',
    ])
    expect(site('{apiserver_loadbalancer_domain_name: lb.site.example}')).toContain('lb.site.example')
    expect(site('{loadbalancer_apiserver: x}')).toEqual(['10.0.0.1', 'cp-1'])
    expect(site('{loadbalancer_apiserver: {address: 10.0.0.100}, kube_vip_address: }')).toEqual([
      '10.0.0.1',
      'cp-1',
      '10.0.0.100',
    ])
    expect(
      site(
        '{loadbalancer_apiserver: x, apiserver_loadbalancer_domain_name: "", kube_vip_address: 10.0.0.101}',
      ),
    ).toEqual(['10.0.0.1', 'cp-1', '10.0.0.101'])
  })
})
