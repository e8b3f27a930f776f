import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { inventoryText, siteFacts } from '../../src/inventory/hosts.ts'
import { parseSiteFile } from '../../src/inventory/site-file.ts'

const good = `apiVersion: airgap-site/v1
externalIP: 10.0.0.100
nfs: {server: nas-1, path: /srv/astrago}
ssh: {user: ubuntu, privateKey: /root/.ssh/id_ed25519}
nodes:
  - {name: master-1, address: 10.0.0.11, roles: [control-plane, worker]}
  - {name: gpu-1, address: 10.0.0.21, roles: [worker, gpu], user: root, port: 2222}
  - {name: nas-1, address: 10.0.0.31, roles: [nfs]}
kubespray: {kube_network_plugin_mtu: 1450}
`
const site = (text: string) => parseSiteFile(text, 'site.yaml')

describe('site.yaml', () => {
  it('has defaults for keys that are not set', () => {
    expect(site(good)).toMatchObject({
      environment: 'prod',
      ssh: { user: 'ubuntu', port: 22, password: false, sudo: 'passwordless' },
      switches: { kubernetes: true, gpuDriver: true, nfs: true, applications: {} },
    })
  })

  it('has a version of Kubernetes in either form, written in the form of the tree', () => {
    const versionAt = (written: string, kubeVersion?: string) => {
      const text = good.replace(/^nodes:/m, `versions: {kubernetes: ${written}}\nnodes:`)
      return parse(inventoryText(site(text), { kubeVersion })).all.hosts['gpu-1'].kube_version
    }
    expect(versionAt('v1.28.6')).toBe('v1.28.6')
    expect(versionAt('1.32.5')).toBe('1.32.5')
    expect(versionAt('v1.32.5', '1.32.0')).toBe('1.32.5')
    expect(versionAt('1.28.6', 'v1.28.1')).toBe('v1.28.6')
    expect(siteFacts(site(good.replace(/^nodes:/m, 'versions: {kubernetes: 1.32.5}\nnodes:')))).toMatchObject(
      {
        'kubernetes.version': 'v1.32.5',
      },
    )
    expect(() => site(good.replace(/^nodes:/m, 'versions: {kubernetes: "1.32"}\nnodes:'))).toThrow()
  })

  it('makes the DNS of the cluster forward to the DNS servers of the site, and nowhere without them', () => {
    const inventory = (text: string) => parse(inventoryText(site(text))).all
    const without = inventory(good)
    expect(without.vars.dns_upstream_forward_extra_opts).toContain("{'except': '.', 'max_fails': 0}")
    expect(without.vars.coredns_additional_configs).toContain('match "^[.]$"')
    expect(without.hosts['gpu-1']).not.toHaveProperty('upstream_dns_servers')
    const named = good.replace(/^nodes:/m, 'nameservers: [10.0.0.2, "fd00::53"]\nnodes:')
    expect(inventory(named).hosts['gpu-1'].upstream_dns_servers).toEqual(['10.0.0.2', 'fd00::53'])
    for (const wrong of [
      '[]',
      '[dns.example.com]',
      '[127.0.0.53]',
      '[10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5]',
    ])
      expect(() => site(good.replace(/^nodes:/m, `nameservers: ${wrong}\nnodes:`))).toThrow()
  })

  it('is converted to an inventory', () => {
    const { all } = parse(inventoryText(site(good)))
    expect(all.hosts['gpu-1']).toEqual({
      ansible_host: '10.0.0.21',
      ip: '10.0.0.21',
      access_ip: '10.0.0.21',
      ansible_user: 'root',
      ansible_port: 2222,
      ansible_ssh_private_key_file: '/root/.ssh/id_ed25519',
      kube_network_plugin_mtu: 1450,
    })
    expect(all.hosts['nas-1']).toMatchObject({
      nfs_server_path: '/srv/astrago',
      nfs_server_networks: ['10.0.0.11', '10.0.0.21', '10.0.0.31'],
    })
    const groups = Object.fromEntries(
      Object.entries<{ hosts?: object }>(all.children).map(([name, { hosts }]) => [
        name,
        Object.keys(hosts ?? {}),
      ]),
    )
    expect(groups).toEqual({
      kube_control_plane: ['master-1'],
      etcd: ['master-1'],
      kube_node: ['master-1', 'gpu-1'],
      k8s_cluster: [],
      gpu_node: ['gpu-1'],
      nfs_server: ['nas-1'],
      calico_rr: [],
    })
    expect(siteFacts(site(good))).toMatchObject({ 'nfs.server': '10.0.0.31', 'nodes.gpu': 1 })
  })

  it('reports all mistakes together, each with its place', () => {
    const bad = good
      .replace('name: gpu-1', 'name: Gpu_1')
      .replace('10.0.0.31', '10.0.0.310')
      .replace('port: 2222', 'port: 99999')
      .replace('user: ubuntu', 'user: "-oProxyCommand=id"')
      .replace('externalIP', 'externalIp')
      .replace('[nfs]', '[storage]')
    expect(() => site(bad)).toThrow(
      expect.objectContaining({ code: 'SITE_INVALID', message: expect.stringMatching(/6 mistakes/) }),
    )
    expect(() => site(bad)).toThrow(/site.yaml:2:1: unknown key "externalIp"; did you mean "externalIP"\?/)
  })

  it.each([
    [
      'two nodes with the same name',
      good.replace('gpu-1', 'master-1'),
      /master-1 appears twice, first at site.yaml:6/,
    ],
    ['two nodes with the same address', good.replace('10.0.0.21', '10.0.0.11'), /10.0.0.11 appears twice/],
    ['no control plane', good.replace('control-plane, ', ''), /no node has the role control-plane/],
    [
      'an even control plane',
      good.replace('[worker, gpu]', '[worker, gpu, control-plane]'),
      /2 have the role control-plane/,
    ],
    ['a GPU on a node without pods', good.replace('[worker, gpu]', '[gpu]'), /must also be a worker/],
    ['a duplicate role', good.replace('[worker, gpu]', '[worker, gpu, gpu]'), /gpu appears twice/],
    [
      'another NFS server',
      good.replace('server: nas-1', 'server: 10.0.0.99'),
      /but nas-1 \(10.0.0.31\) has the role nfs/,
    ],
    ['no NFS', good.replace(/^nfs:.*\n/m, ''), /nfs: is missing/],
    [
      'an existing cluster without kubeconfig',
      `${good}switches: {kubernetes: false}\n`,
      /must name the existing cluster/,
    ],
    [
      'an existing cluster and another one to install',
      `${good}kubeconfig: /root/c\n`,
      /names an existing cluster/,
    ],
    ['an empty file', '', /must be a map/],
    ['a list', '- a\n', /must be a map/],
    ['a duplicate key', `${good}externalIP: 1.2.3.4\n`, /appears twice/],
    ['a parent folder', good.replace('/srv/astrago', '/srv/../etc'), /must not contain \.\./],
    ['a template for ansible', good.replace('1450', "\"{{ lookup('pipe', 'id') }}\""), /templates/],
    ['a template in a key', `${good}values: {"{{ x }}": 1}\n`, /templates/],
    [
      'a key that is no variable',
      good.replace('kube_network_plugin_mtu', 'a-b'),
      /:9:13: kubespray.a-b: must be the/,
    ],
    ['another version', good.replace('v1', 'v9'), /apiVersion/],
  ])('refuses %s', (_, text, message) => {
    expect(() => site(text)).toThrow(
      expect.objectContaining({ code: 'SITE_INVALID', message: expect.stringMatching(message) }),
    )
  })

  it('refuses shell metacharacters in everything that reaches a program (fault 96)', () => {
    const hostile = fc.constantFrom(
      ';id',
      '$(id)',
      '`id`',
      'a\nb',
      "a'b",
      'a"b',
      '-oProxyCommand=id',
      '--help',
      'a b',
      '{{ x }}',
      '*',
      'a|b',
      'a&b',
      '\u0000',
      '',
    )
    const places = [
      'name: gpu-1',
      'address: 10.0.0.21',
      'user: root',
      'path: /srv/astrago',
      'server: nas-1',
      'externalIP: 10.0.0.100',
      'privateKey: /root/.ssh/id_ed25519',
    ]
    fc.assert(
      fc.property(hostile, fc.constantFrom(...places), (text, place) => {
        const key = place.slice(0, place.indexOf(':'))
        expect(() => site(good.replace(place, `${key}: ${JSON.stringify(text)}`))).toThrow(
          expect.objectContaining({ code: 'SITE_INVALID' }),
        )
      }),
    )
  })

  it.each([
    'ansible_connection: local',
    'ansible_ssh_common_args: -o ProxyCommand=id',
    'ansible_ssh_executable: /tmp/x',
    'ansible_python_interpreter: /tmp/x',
    'ansible_become_exe: /tmp/x',
    'ansible_shell_executable: /tmp/x',
    'ansible_host: 10.0.0.99',
    'ANSIBLE_CONNECTION: local',
    'hostvars: {}',
    'playbook_dir: /tmp',
  ])(
    'refuses %s under kubespray: it would decide where and how ansible runs programs (fault 96)',
    variable => {
      expect(() => site(good.replace('kube_network_plugin_mtu: 1450', variable))).toThrow(
        expect.objectContaining({
          code: 'SITE_INVALID',
          message: expect.stringMatching(
            /site.yaml:9:13: kubespray\.\w+: is a variable of ansible itself, not of kubespray: how nodes are reached is set under ssh/,
          ),
        }),
      )
    },
  )

  it('passes kubespray variables on unchanged', () => {
    const odd = { a_text: 'it\'s; $(id) `x` "y"\n- z', a_list: [1, 'yes', null], a_map: { on: true } }
    const { all } = parse(
      inventoryText(site(good.replace(/kubespray:.*/, `kubespray: ${JSON.stringify(odd)}`))),
    )
    expect(all.hosts['master-1']).toMatchObject(odd)
    // ansible reads YAML 1.1, where an unquoted yes is not text
    expect(inventoryText(site(good.replace(/kubespray:.*/, 'kubespray: {a: "yes", b: "0755"}')))).toMatch(
      /a: "yes"\n +b: "0755"/,
    )
  })
})
