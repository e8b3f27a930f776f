/** How long downloads may go on after systemd has asked the servers to stop; new connections wait for the next start. */
const stopGraceMs = 60_000

/** What the units of a site's servers are made from. All paths are absolute. */
export interface UnitOptions {
  /** of both units, without suffix; of the user, and of the folder in /var/lib */
  name: string
  /** state folder of the site, which belongs to root */
  site: string
  /** program and arguments that start this program */
  self: readonly string[]
  /** files that the servers open, and folders that the program is in */
  reads: readonly string[]
  /** IP address to listen on */
  listen: string
  ports: { registry: number; http: number }
}

export interface UnitFile {
  path: string
  text: string
}

/** Returns the state folder of the servers: their own user writes there, and root reads it as a folder of a stranger. */
export function serviceFolder(name: string): string {
  return `/var/lib/${name}`
}

/** Returns the files of a service: its user, its sockets, its program. */
export function unitFiles(options: UnitOptions): UnitFile[] {
  const { name } = options
  return [
    {
      path: `/etc/sysusers.d/${name}.conf`,
      text: lines(
        '# The user of the servers of an offline-deploy site (sysusers.d(5))',
        `u ${name} - "Servers of an offline-deploy site" ${serviceFolder(name)}`,
      ),
    },
    { path: `/etc/systemd/system/${name}.socket`, text: socketUnit(options) },
    { path: `/etc/systemd/system/${name}.service`, text: serviceUnit(options) },
  ]
}

/**
 * Returns whether the running service has to be started again for this change of its unit: it would not see a file of which the new one
 * speaks, or runs with other settings. What it sees in excess, and when it starts, change with its next start.
 */
export function needsRestart(before: string, after: string): boolean {
  const had = new Set(before.split('\n'))
  return after
    .split('\n')
    .some(line => !had.has(line) && !/^(?:#.*|RequiresMountsFor=.*|ProtectHome=yes)?$/.test(line))
}

function socketUnit({ name, listen, ports }: UnitOptions): string {
  const host = listen.includes(':') ? `[${listen}]` : listen
  return lines(
    '[Unit]',
    'Description=Ports of the registry and the HTTP server of an offline-deploy site',
    '',
    '# systemd holds the ports: connections wait while the servers are started again',
    '[Socket]',
    ...[ports.registry, ports.http].map(port => `ListenStream=${host}:${port}`),
    // as the servers bind the ports themselves; only an address that is not there yet, before the network is, must not fail
    ...(listen === '::' ? ['BindIPv6Only=both'] : []),
    'FreeBind=yes',
    'Backlog=4096',
    'NoDelay=yes',
    `Service=${name}.service`,
    '',
    '[Install]',
    'WantedBy=sockets.target',
  )
}

function serviceUnit({ name, site, self, reads, ports }: UnitOptions): string {
  const command = self.map(word).join(' ')
  // `+` lifts restrictions, but not TemporaryFileSystem= (systemd.exec(5)): only the namespace of process 1 shows the site
  const sync = `/usr/bin/nsenter -t 1 -m -- ${command} service sync --site ${word(site)} --name ${name}`
  const privileged = Math.min(ports.registry, ports.http) < 1024
  const bound = reads.filter(path => isHidden(path, site))
  return lines(
    '[Unit]',
    'Description=Registry and HTTP server of an offline-deploy site',
    `Requires=${name}.socket`,
    'Wants=network-online.target',
    `After=network-online.target ${name}.socket`,
    `RequiresMountsFor=${[site, ...reads].map(word).join(' ')}`,
    'StartLimitIntervalSec=120',
    'StartLimitBurst=5',
    '',
    '[Service]',
    '# the servers report when they serve, reload and stop, by systemd-notify(1): Node.js has no datagram sockets of this family',
    'Type=notify',
    'NotifyAccess=all',
    'WatchdogSec=120',
    `User=${name}`,
    `Group=${name}`,
    `StateDirectory=${name}`,
    'StateDirectoryMode=0700',
    'UMask=0077',
    `EnvironmentFile=-${site}/service.env`,
    '# as root where the site is visible, then as the user of the servers: copies settings and keys of the site to their folder',
    `ExecStartPre=+${sync}`,
    `ExecStart=${command} serve --site ${serviceFolder(name)} --stop-timeout ${stopGraceMs / 1000} --quiet --output json`,
    `ExecReload=+${sync}`,
    'ExecReload=/bin/kill -HUP $MAINPID',
    'TimeoutStartSec=300',
    '# longer than the servers let downloads end',
    `TimeoutStopSec=${stopGraceMs / 1000 + 15}`,
    'KillMode=mixed',
    '# how it ends after SIGTERM',
    'SuccessExitStatus=143',
    'Restart=on-failure',
    'RestartSec=2',
    '# a setting or a bundle that is wrong stays wrong',
    'RestartPreventExitStatus=2 6',
    'LimitNOFILE=65536',
    '',
    '# files: everything is read-only but the state folder, and what the servers do not need is hidden',
    'ProtectSystem=strict',
    `ProtectHome=${bound.some(path => isIn(path, '/root') || isIn(path, '/home')) ? 'tmpfs' : 'yes'}`,
    `TemporaryFileSystem=${word(site)}:ro`,
    ...bound.map(path => `BindReadOnlyPaths=${word(path)}`),
    'PrivateTmp=yes',
    'PrivateDevices=yes',
    'ProtectProc=invisible',
    'ProcSubset=all',
    '',
    '# privileges',
    'NoNewPrivileges=yes',
    `CapabilityBoundingSet=${privileged ? 'CAP_NET_BIND_SERVICE' : ''}`,
    `AmbientCapabilities=${privileged ? 'CAP_NET_BIND_SERVICE' : ''}`,
    'RestrictSUIDSGID=yes',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'LockPersonality=yes',
    'RemoveIPC=yes',
    ...(privileged ? [] : ['PrivateUsers=yes']),
    '# no MemoryDenyWriteExecute: V8 compiles JavaScript to machine code while it runs',
    '',
    '# the kernel',
    'ProtectKernelTunables=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelLogs=yes',
    'ProtectControlGroups=yes',
    'ProtectClock=yes',
    'ProtectHostname=yes',
    '# netlink: Node.js lists the addresses of this host, for the certificate',
    'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
    'SystemCallArchitectures=native',
    'SystemCallFilter=@system-service',
    'SystemCallFilter=~@privileged @resources',
    'SystemCallErrorNumber=EPERM',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  )
}

/** Whether a path is in a folder of which the servers see only what they need: nobody has to be able to enter that folder. */
export function isHidden(path: string, site: string): boolean {
  return [site, '/root', '/home', '/tmp', '/var/tmp'].some(folder => isIn(path, folder))
}

function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}

/** One word of a setting: quoted, without specifiers and variables (systemd.syntax(7), systemd.service(5) "Command lines"). */
function word(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('%', '%%')
    .replaceAll('$', '$$$$')
  return /^[A-Za-z0-9@_./:,=+-]+$/.test(text) ? text : `"${escaped}"`
}

function lines(...all: string[]): string {
  return `${all.join('\n')}\n`
}
