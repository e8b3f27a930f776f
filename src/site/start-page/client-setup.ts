import { encodePath } from '../../core/safe-path.ts'
import { shellWord } from '../../core/shell-word.ts'
import type { ClientFile, SiteCaPlace } from '../../kinds/client-file.ts'
import { httpServerOf, registryOf, type SiteAddress } from '../address.ts'
import type { CatalogueList } from './catalogue.ts'
import type { CatalogueItem } from './image-items.ts'

/** Programs that people set up to use the site. */
export type ClientName =
  | 'ca'
  | 'containerd'
  | 'docker'
  | 'podman'
  | 'apt'
  | 'dnf'
  | 'pip'
  | 'helm'
  | 'git'
  | 'curl'

/** How a program is set up, as commands that people copy: each block runs as it is, in `sh`. */
export interface ClientSetup {
  client: ClientName
  /** in the order in which they are run */
  blocks: SetupBlock[]
}

export interface SetupBlock {
  /** what it does, a key of the texts */
  step: 'fetch' | 'debian' | 'el' | 'configure' | 'use' | 'classic' | 'uv'
  /** the repository that the machine needs: `debian-12` */
  release?: string
  commands: string
}

export interface SetupOptions {
  address: SiteAddress
  clients: readonly ClientFile[]
  lists: readonly CatalogueList[]
}

/**
 * Returns the set-up of each program for which the site has something. The files are those that `/clients` serves, so that a machine that is
 * set up by hand gets what the node role would write.
 */
export function clientSetups(options: SetupOptions): ClientSetup[] {
  const setups = [
    { client: 'ca' as const, blocks: caBlocks(options) },
    ...registryClients(options),
    { client: 'apt' as const, blocks: aptBlocks(options) },
    { client: 'dnf' as const, blocks: dnfBlocks(options) },
    { client: 'pip' as const, blocks: pipBlocks(options) },
    { client: 'helm' as const, blocks: helmBlocks(options) },
    { client: 'git' as const, blocks: gitBlocks(options) },
    { client: 'curl' as const, blocks: fileBlocks(options) },
  ]
  return setups.filter(({ blocks }) => blocks.length > 0)
}

function itemsOf({ lists }: SetupOptions, kind: string): readonly CatalogueItem[] {
  return lists.filter(list => list.kind === kind).flatMap(({ items }) => items)
}

/** The command that puts a client file of the site where it belongs. */
function install({ address }: SetupOptions, paths: readonly string[]): string[] {
  return paths.map(
    path =>
      `sudo ${curl(address)} --create-dirs -o ${shellWord(`/${path}`)} ${shellWord(`${httpServerOf(address)}/clients/${encodePath(path).replaceAll('%3A', ':')}`)}`,
  )
}

/** curl takes the brackets of an IPv6 address in a path for a pattern. */
function curl({ host }: SiteAddress): string {
  return host.includes(':') ? 'curl -fsSg' : 'curl -fsS'
}

/** The first download cannot be checked by the CA that it brings: a person compares the fingerprint before the machine trusts it. */
function caBlocks({ address, clients }: SetupOptions): SetupBlock[] {
  const pathOf = (place: SiteCaPlace) => caPath(clients, place)
  const machine = pathOf('machine')
  if (machine === undefined) return []
  const trust = (step: 'debian' | 'el', update: string): SetupBlock => ({
    step,
    commands: [
      ...[machine, pathOf(step)].map(path => `sudo install -D -m 644 airgap-site-ca.crt ${path}`),
      `sudo ${update}`,
    ].join('\n'),
  })
  return [
    {
      step: 'fetch',
      commands: `${curl(address)} -k -o airgap-site-ca.crt ${httpServerOf(address)}/clients/ca.crt
openssl x509 -in airgap-site-ca.crt -noout -fingerprint -sha256`,
    },
    trust('debian', 'update-ca-certificates'),
    trust('el', 'update-ca-trust'),
  ]
}

function caPath(clients: readonly ClientFile[], place: SiteCaPlace): string | undefined {
  const file = clients.find(one => one.kind === 'site-ca' && one.place === place)
  return file && shellWord(`/${file.path}`)
}

/** Docker, podman and skopeo look for the CA in a folder of the registry. */
function ownCa(clients: readonly ClientFile[], place: SiteCaPlace): string[] {
  const [from, to] = [caPath(clients, 'machine'), caPath(clients, place)]
  return from === undefined || to === undefined ? [] : [`sudo install -D -m 644 ${from} ${to}`]
}

function registryClients(options: SetupOptions): ClientSetup[] {
  const { address, clients } = options
  const images = itemsOf(options, 'image')
  const image = images.find(({ version }) => version !== '') ?? images[0]
  if (image === undefined) return []
  const [tag] = image.version?.split(', ') ?? []
  const reference = tag ? `${image.name}:${tag}` : `${image.name}@${image.digest}`
  const registry = registryOf(address)
  // a name of the site cannot have a host with a port
  const slash = reference.indexOf('/')
  const hasPort = reference.slice(0, Math.max(slash, 0)).includes(':')
  const ownName = hasPort ? reference.slice(slash + 1) : reference
  const upstreams = clients.flatMap(file => (file.kind === 'containerd-host' ? [file.registry] : []))
  const hosts = upstreams.filter(host => host !== registry && host !== '_default')
  return [
    {
      client: 'containerd',
      blocks: [
        { step: 'configure', commands: containerdFiles(options, upstreams) },
        {
          step: 'use',
          commands: `sudo ctr images pull --hosts-dir /etc/containerd/certs.d ${shellWord(reference)}`,
        },
      ],
    },
    {
      client: 'docker',
      blocks: [
        ...(isPlain(address) ? [dockerConfig(registry)] : ownCa(clients, 'docker')).map(commands => ({
          step: 'configure' as const,
          commands,
        })),
        {
          step: 'use',
          commands: `docker pull ${shellWord(`${registry}/${ownName}`)}`,
        },
      ],
    },
    {
      client: 'podman',
      blocks: [
        {
          step: 'configure',
          commands: [...ownCa(clients, 'containers'), podmanConfig(address, hosts)].join('\n'),
        },
        {
          step: 'use',
          commands: `podman pull ${shellWord(reference)}\nskopeo inspect --no-tags ${shellWord(`docker://${reference}`)}`,
        },
      ],
    },
  ]
}

function isPlain(address: SiteAddress): boolean {
  return address.scheme === 'http'
}

function containerdFiles({ address }: SetupOptions, registries: readonly string[]): string {
  const file = '/etc/containerd/certs.d/$registry/hosts.toml'
  return `for registry in ${registries.map(shellWord).join(' ')}; do
  sudo ${curl(address)} --create-dirs -o "${file}" "${httpServerOf(address)}/clients${file}"
done`
}

/** A configuration of Docker that exists is left alone: the note says what to add to it. */
function dockerConfig(registry: string): string {
  return `sudo mkdir -p /etc/docker
[ -e /etc/docker/daemon.json ] || sudo tee /etc/docker/daemon.json <<'END'
{
  "insecure-registries": [${JSON.stringify(registry)}]
}
END
sudo systemctl restart docker`
}

/** containers-registries.conf(5); read by podman, buildah, skopeo and cri-o. */
function podmanConfig(address: SiteAddress, hosts: readonly string[]): string {
  const registry = registryOf(address)
  const insecure = isPlain(address) ? ['insecure = true'] : []
  const own = ['[[registry]]', `location = ${JSON.stringify(registry)}`, ...insecure]
  const mirrors = hosts.flatMap(host => [
    '',
    '[[registry]]',
    `location = ${JSON.stringify(host)}`,
    '[[registry.mirror]]',
    // images of a host with a port have their stripped name only
    `location = ${JSON.stringify(host.includes(':') ? registry : `${registry}/${host}`)}`,
    ...insecure,
  ])
  return `sudo mkdir -p /etc/containers/registries.conf.d
sudo tee /etc/containers/registries.conf.d/airgap-site.conf <<'END'
${[...own, ...mirrors].join('\n')}
END`
}

function aptBlocks(options: SetupOptions): SetupBlock[] {
  const { clients } = options
  const shared = clients.filter(
    file => file.kind === 'apt-conf' || (file.kind === 'site-key' && file.usedBy === 'apt'),
  )
  return clients
    .filter(file => file.kind === 'apt-sources')
    .map(file => ({
      step: 'configure',
      release: file.repository,
      commands: [
        ...install(
          options,
          [...shared, file].map(({ path }) => path),
        ),
        'sudo apt-get update',
      ].join('\n'),
    }))
}

function dnfBlocks(options: SetupOptions): SetupBlock[] {
  const { clients } = options
  const shared = clients.filter(file => file.kind === 'site-key' && file.usedBy === 'dnf')
  return clients
    .filter(file => file.kind === 'yum-repo')
    .map(file => {
      const keys = clients.filter(
        other => other.kind === 'publisher-key' && other.repository === file.repository,
      )
      return {
        step: 'configure',
        release: file.repository,
        commands: [
          ...install(
            options,
            [...shared, ...keys, file].map(({ path }) => path),
          ),
          'sudo dnf makecache',
        ].join('\n'),
      }
    })
}

function pipBlocks(options: SetupOptions): SetupBlock[] {
  const file = options.clients.find(({ kind }) => kind === 'pip-conf')
  const [project] = itemsOf(options, 'wheel')
  if (file === undefined || project === undefined) return []
  const name = shellWord(project.name)
  const index = `${httpServerOf(options.address)}/pypi/simple/`
  const ca = caPath(options.clients, 'machine')
  return [
    {
      step: 'configure',
      commands: [...install(options, [file.path]), `python3 -m pip download --no-deps ${name}`].join('\n'),
    },
    {
      step: 'uv',
      commands: [
        `export UV_DEFAULT_INDEX=${shellWord(index)}`,
        ...(ca === undefined ? [] : [`export SSL_CERT_FILE=${ca}`]),
        `uv pip install ${name}`,
      ].join('\n'),
    },
  ]
}

function helmBlocks(options: SetupOptions): SetupBlock[] {
  const [chart] = itemsOf(options, 'chart')
  if (chart === undefined) return []
  const { address } = options
  const version = `--version ${shellWord(chart.version ?? '')}`
  const plain = isPlain(address) ? ' --plain-http' : ''
  const oci = shellWord(`oci://${registryOf(address)}/charts/${chart.name}`)
  return [
    { step: 'use', commands: `helm pull ${oci} ${version}${plain}` },
    {
      step: 'classic',
      commands: `helm repo add airgap-site ${shellWord(`${httpServerOf(address)}/charts`)}
helm pull ${shellWord(`airgap-site/${chart.name}`)} ${version}`,
    },
  ]
}

function gitBlocks(options: SetupOptions): SetupBlock[] {
  const [repository] = itemsOf(options, 'git')
  if (repository === undefined) return []
  const url = `${httpServerOf(options.address)}/git/${encodePath(repository.name)}`
  return [{ step: 'use', commands: `git clone ${shellWord(url)}` }]
}

function fileBlocks(options: SetupOptions): SetupBlock[] {
  const [file] = itemsOf(options, 'file')
  if (file?.path === undefined || file.digest === undefined) return []
  const { address } = options
  const name = file.name.slice(file.name.lastIndexOf('/') + 1)
  const sum = `${file.digest.slice('sha256:'.length)}  ${name}`
  return [
    {
      step: 'use',
      commands: `${curl(address)} -o ${shellWord(name)} ${shellWord(`${httpServerOf(address)}${encodePath(file.path)}`)}
echo ${shellWord(sum)} | sha256sum -c`,
    },
  ]
}
