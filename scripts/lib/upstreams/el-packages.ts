/** Packages in the shape of an EL release: its names, versions and relations, with hardly any content. */
export interface ElPackage {
  name: string
  version: string
  release?: string
  epoch?: number
  noarch?: true
  provides?: string[]
  requires?: string[]
  recommends?: string[]
  conflicts?: string[]
  files?: string[]
}

export interface ElRepository {
  id: string
  packages: ElPackage[]
  /** modules.yaml */
  modules?: string
}

const baseos: ElPackage[] = [
  { name: 'setup', version: '2.13.7', noarch: true, files: ['/etc/passwd'] },
  { name: 'filesystem', version: '3.16', requires: ['setup'], files: ['/usr/share/misc/layout'] },
  { name: 'basesystem', version: '11', noarch: true, requires: ['filesystem', 'setup'] },
  {
    name: 'glibc',
    version: '2.34',
    release: '100.el9',
    requires: ['basesystem', 'glibc-common = 2.34-100.el9', '(glibc-langpack-en or glibc-minimal-langpack)'],
    provides: ['libc.so.6()(64bit)', 'libc.so.6(GLIBC_2.34)(64bit)', 'rtld(GNU_HASH)'],
  },
  // a dependency loop, as in EL
  { name: 'glibc-common', version: '2.34', release: '100.el9', requires: ['glibc = 2.34-100.el9'] },
  {
    name: 'glibc-minimal-langpack',
    version: '2.34',
    release: '100.el9',
    requires: ['glibc = 2.34-100.el9', 'glibc-common'],
  },
  { name: 'glibc-langpack-en', version: '2.34', release: '100.el9', requires: ['glibc-common'] },
  {
    name: 'ncurses-libs',
    version: '6.2',
    provides: ['libtinfo.so.6()(64bit)'],
    requires: ['libc.so.6()(64bit)'],
  },
  {
    name: 'bash',
    version: '5.1.8',
    requires: ['filesystem >= 3', 'libtinfo.so.6()(64bit)', 'libc.so.6(GLIBC_2.34)(64bit)'],
    provides: ['/bin/sh', '/bin/bash'],
    files: ['/usr/bin/bash', '/usr/bin/sh'],
  },
  {
    name: 'openssl-libs',
    version: '3.0.7',
    epoch: 1,
    provides: ['libcrypto.so.3()(64bit)'],
    requires: ['glibc'],
  },
  { name: 'openssl', version: '3.0.7', epoch: 1, requires: ['openssl-libs = 1:3.0.7-1.el9'] },
  // two versions: a repository that keeps old builds has both
  { name: 'libcurl', version: '7.76.1', release: '26.el9', requires: ['libcrypto.so.3()(64bit)'] },
  { name: 'libcurl-minimal', version: '7.76.1', release: '26.el9', conflicts: ['libcurl'] },
  { name: 'curl', version: '7.76.1', release: '26.el9', requires: ['libcurl >= 7.76.1-26.el9'] },
  { name: 'rsync', version: '3.2.3', requires: ['libcrypto.so.3()(64bit)'] },
  { name: 'socat', version: '1.7.4.1', requires: ['openssl-libs >= 1:3'] },
  { name: 'unzip', version: '6.0', requires: ['glibc'] },
  { name: 'iputils', version: '20210202', requires: ['libc.so.6()(64bit)'] },
  { name: 'e2fsprogs-libs', version: '1.46.5' },
  { name: 'e2fsprogs', version: '1.46.5', requires: ['e2fsprogs-libs = 1.46.5-1.el9'] },
  { name: 'xfsprogs', version: '6.3.0', requires: ['bash'] },
  { name: 'iptables-libs', version: '1.8.10' },
  {
    name: 'iptables-nft',
    version: '1.8.10',
    requires: ['iptables-libs'],
    provides: ['iptables', 'ebtables', 'arptables'],
  },
  { name: 'bash-completion', version: '2.11', epoch: 1, noarch: true, requires: ['bash >= 4.1'] },
  { name: 'tar', version: '1.34', epoch: 2, requires: ['glibc'] },
  { name: 'ipvsadm', version: '1.31', requires: ['bash'] },
  { name: 'ipset-libs', version: '7.11' },
  { name: 'ipset', version: '7.11', requires: ['ipset-libs = 7.11-1.el9'] },
  { name: 'python3', version: '3.9.18', requires: ['python3-libs = 3.9.18-1.el9'] },
  { name: 'python3-libs', version: '3.9.18', requires: ['libcrypto.so.3()(64bit)'] },
  { name: 'libselinux', version: '3.6' },
  { name: 'python3-libselinux', version: '3.6', requires: ['libselinux = 3.6-1.el9', 'python3'] },
  { name: 'device-mapper-libs', version: '1.02.197', epoch: 9, requires: ['libselinux'] },
  { name: 'libnetfilter_conntrack', version: '1.0.9' },
  {
    name: 'conntrack-tools',
    version: '1.4.7',
    provides: ['conntrack = 1.0-1.4.7'],
    requires: ['libnetfilter_conntrack >= 1.0.9'],
  },
  { name: 'libseccomp', version: '2.5.2' },
  { name: 'selinux-policy', version: '38.1.35', noarch: true, recommends: ['rpm-plugin-selinux'] },
  {
    name: 'selinux-policy-targeted',
    version: '38.1.35',
    noarch: true,
    requires: ['selinux-policy = 38.1.35-1.el9'],
  },
  { name: 'rpm-plugin-selinux', version: '4.16.1.3' },
]

const appstream: ElPackage[] = [
  { name: 'nspr', version: '4.35.0' },
  { name: 'nss', version: '3.90.0', requires: ['nspr >= 4.34'] },
  {
    name: 'container-selinux',
    version: '2.229.0',
    epoch: 3,
    noarch: true,
    requires: ['selinux-policy-targeted >= 38', '(rpm-plugin-selinux if selinux-policy)'],
  },
  { name: 'rpcbind', version: '1.2.6' },
  // only filelists.xml tells which package has this file
  {
    name: 'nfs-utils',
    version: '2.5.4',
    epoch: 1,
    requires: ['rpcbind', '/usr/share/misc/layout'],
  },
  { name: 'binutils', version: '2.35.2' },
  { name: 'cpp', version: '11.4.1' },
  { name: 'gcc', version: '11.4.1', requires: ['cpp = 11.4.1-1.el9', 'binutils >= 2.31', 'make'] },
  { name: 'make', version: '4.3', epoch: 1, files: ['/usr/bin/make'] },
  { name: 'elfutils-libelf-devel', version: '0.190', requires: ['glibc'] },
  { name: 'kernel-headers', version: '5.14.0', release: '427.el9' },
  {
    name: 'kernel-devel',
    version: '5.14.0',
    release: '427.el9',
    requires: ['bash'],
    provides: ['kernel-devel-uname-r = 5.14.0-427.el9.x86_64'],
  },
]

const epel: ElPackage[] = [
  {
    name: 'dkms',
    version: '3.0.13',
    noarch: true,
    requires: ['gcc', '/usr/bin/make', 'kernel-devel', '(elfutils-libelf-devel if kernel-devel)'],
  },
]

const driver = (version: string, suffix: string): ElPackage[] => {
  const release = `1.el9${suffix}`
  return [
    {
      name: 'nvidia-driver',
      version,
      release,
      epoch: 3,
      requires: [`kmod-nvidia-latest-dkms = 3:${version}`, `nvidia-driver-libs = 3:${version}`],
    },
    { name: 'nvidia-driver-libs', version, release, epoch: 3, requires: ['glibc'] },
    {
      name: 'nvidia-driver-cuda',
      version,
      release,
      epoch: 3,
      requires: [`nvidia-driver-libs = 3:${version}`],
    },
    { name: 'nvidia-persistenced', version, release, epoch: 3 },
    { name: 'kmod-nvidia-latest-dkms', version, release, epoch: 3, requires: ['dkms'] },
  ]
}

/** modulemd 2 and modulemd-defaults 1 as in NVIDIA's repository: the newest branch is the default stream. */
function driverModules(streams: [stream: string, packages: ElPackage[]][]): string {
  const defaults = [
    '---',
    'document: modulemd-defaults',
    'version: 1',
    'data:',
    '  module: nvidia-driver',
    '  stream: latest-dkms',
    '  profiles:',
    ...streams.map(([stream]) => `    ${stream}: [default]`),
    '...',
  ]
  const documents = streams.map(([stream, packages]) =>
    [
      '---',
      'document: modulemd',
      'version: 2',
      'data:',
      '  name: nvidia-driver',
      `  stream: "${stream}"`,
      '  version: 20240101000000',
      '  context: deadbeef',
      '  arch: x86_64',
      '  summary: Nvidia driver',
      '  description: Nvidia driver',
      '  license:',
      '    module: [MIT]',
      '  dependencies:',
      '  - requires:',
      '      platform: [el9]',
      '  profiles:',
      '    default:',
      '      rpms:',
      ...packages.map(({ name }) => `      - ${name}`),
      '  artifacts:',
      '    rpms:',
      ...packages.map(
        ({ name, version, release, epoch }) => `    - ${name}-${epoch}:${version}-${release}.x86_64`,
      ),
      '...',
    ].join('\n'),
  )
  return [...documents, defaults.join('\n')].join('\n')
}

const branch535 = driver('535.161.08', '')
const branch550 = driver('550.54.15', '')

export const el9: ElRepository[] = [
  { id: 'baseos', packages: baseos },
  { id: 'appstream', packages: appstream },
  { id: 'epel', packages: epel },
  {
    id: 'cuda',
    packages: [...branch535, ...branch550],
    modules: driverModules([
      ['535-dkms', branch535],
      ['latest-dkms', branch550],
    ]),
  },
]
