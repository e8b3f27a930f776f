import { type MachineFinding, thisHost } from './finding.ts'
import { error, type Fault, sizeText } from './subject.ts'

/** The host that installs, as it was found. */
export interface HostFacts {
  folder: string
  /** free bytes where the state folder is; undefined: not known */
  free: number | undefined
  /** bytes that the programs of this host still need there */
  needed: number
  /** the one that was found, or what prevents that; undefined: none is needed */
  python: { version: string } | { lacks: string; next: string } | undefined
  ssh: boolean
  /** undefined: not needed */
  sshpass: boolean | undefined
  /** of the servers */
  ports: { port: number; listen: string; state: 'free' | 'ours' | 'taken' | 'forbidden' | 'no address' }[]
  privateKey: { path: string; state: 'good' | 'missing' | 'open to others' } | undefined
}

export function hostFindings(host: HostFacts): MachineFinding[] {
  const faults: Fault[] = []
  if (host.free !== undefined && host.free < host.needed)
    faults.push(
      error(
        `${sizeText(host.free)} free in ${host.folder}; the programs of this host need ${sizeText(host.needed)}`,
        'free some space, or choose a folder on another disk with --site',
      ),
    )
  if (host.python !== undefined && 'lacks' in host.python)
    faults.push(error(host.python.lacks, host.python.next))
  return [...ofThisHost([...faults, ...host.ports.flatMap(portFaults)]), ...reachFindings(host)]
}

function portFaults({ port, listen, state }: HostFacts['ports'][number]): Fault[] {
  switch (state) {
    case 'taken':
      return [
        error(
          `another program listens on port ${port}`,
          'find it with `ss -ltnp` and stop it, or choose another port with --registry-port or --http-port',
        ),
      ]
    case 'forbidden':
      return [error(`may not listen on port ${port}`, 'run as root, or choose a port above 1023')]
    case 'no address':
      return [error(`has no address ${listen}`, 'pass an address of this host with --listen')]
    case 'free':
    case 'ours':
      return []
  }
}

/** What prevents this host from reaching any machine. */
export function reachFindings(host: Pick<HostFacts, 'ssh' | 'sshpass' | 'privateKey'>): MachineFinding[] {
  const faults: Fault[] = []
  if (!host.ssh)
    faults.push(
      error(
        'has no ssh, so no machine can be examined',
        'install the package openssh-client (openssh-clients)',
      ),
    )
  if (host.sshpass === false)
    faults.push(
      error(
        'has no sshpass, which ssh needs for passwords, so no machine can be examined',
        'install the package sshpass, or put a key on the machines and set ssh.password to false',
      ),
    )
  const key = host.privateKey
  if (key?.state === 'missing')
    faults.push(error(`the SSH key ${key.path} cannot be read`, 'correct ssh.privateKey in site.yaml'))
  if (key?.state === 'open to others')
    faults.push(
      error(`the SSH key ${key.path} can be read by others, so ssh does not use it`, `chmod 600 ${key.path}`),
    )
  return ofThisHost(faults)
}

function ofThisHost(faults: readonly Fault[]): MachineFinding[] {
  return faults.map(fault => ({ machine: thisHost, ...fault }))
}
