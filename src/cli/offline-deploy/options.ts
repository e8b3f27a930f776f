import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Digest, isDigest } from '../../core/digest.ts'
import { defaults } from '../../deploy/site-options.ts'
import { verifyModes } from '../../serve/served.ts'
import { repeated } from '../shell/arguments.ts'

/** Options of commands that open bundles. */
export function bundleOptions(command: Command): Command {
  return trustOptions(
    command.addOption(
      new Option('--bundle <file>', 'the bundle (default: the .tar next to this program; repeatable)')
        .argParser((text: string, before: string[] | undefined) => repeated(text, before ?? []))
        .env('OFFLINE_DEPLOY_BUNDLE'),
    ),
  )
}

/** What the operator expects of bundles, and the site that trusts them. */
export function trustOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--expect <digest>',
        'digest that `airgap build` printed, obtained separately from the medium; refuse any other bundle (repeatable)',
      )
        .argParser(digests)
        .env('OFFLINE_DEPLOY_EXPECT'),
    )
    .addOption(
      new Option(
        '--trust-key <key>',
        'public key that signs the bundles: a file, or its fingerprint; `apply` and `upgrade` pin it at a site without keys (repeatable)',
      )
        .argParser((text: string, before: string[] | undefined) => repeated(text, before ?? []))
        .env('OFFLINE_DEPLOY_TRUST_KEY'),
    )
    .addOption(siteOption())
}

/** For commands that need the state of the site and no bundle. */
export function siteOption(): Option {
  return new Option('--site <folder>', 'state folder of this site (default: site, next to the program)').env(
    'OFFLINE_DEPLOY_SITE',
  )
}

/** Where the servers listen, and under which address clients reach them. */
export function serverOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--address <host>',
        'address under which the machines of the site reach this one (default: its only IPv4 address)',
      ).env('OFFLINE_DEPLOY_ADDRESS'),
    )
    .addOption(
      new Option('--registry-port <port>', `port of the registry (default: ${defaults.registryPort})`)
        .argParser(port)
        .env('OFFLINE_DEPLOY_REGISTRY_PORT'),
    )
    .addOption(
      new Option('--http-port <port>', `port of the HTTP server (default: ${defaults.httpPort})`)
        .argParser(port)
        .env('OFFLINE_DEPLOY_HTTP_PORT'),
    )
    .addOption(
      new Option('--listen <address>', `address to listen on (default: ${defaults.listen}, all)`).env(
        'OFFLINE_DEPLOY_LISTEN',
      ),
    )
    .addOption(
      new Option(
        '--verify <when>',
        `when the servers hash what they send: \`once\` for each state of the bundle's file, or \`always\` (default: ${defaults.verify})`,
      )
        .choices(verifyModes)
        .env('OFFLINE_DEPLOY_VERIFY'),
    )
    .addOption(
      new Option(
        '--overlay-quota <size>',
        'most that pushed images may take, such as 200GiB; `none`: as much as the disk has (default of a new site)',
      )
        .argParser(quota)
        .env('OFFLINE_DEPLOY_OVERLAY_QUOTA'),
    )
    .addOption(new Option('--tls', 'serve with a certificate of the site’s own CA (default of a new site)'))
    .addOption(
      new Option(
        '--tls-cert <file>',
        'certificate of the servers, with intermediate ones after it, instead of one of the site’s own CA',
      ).env('OFFLINE_DEPLOY_TLS_CERT'),
    )
    .addOption(
      new Option('--tls-key <file>', 'private key of --tls-cert, without a passphrase').env(
        'OFFLINE_DEPLOY_TLS_KEY',
      ),
    )
    .addOption(
      new Option(
        '--tls-ca <file>',
        'CA of --tls-cert that machines have to trust (default: a root at the end of --tls-cert, or none: they trust it already)',
      ).env('OFFLINE_DEPLOY_TLS_CA'),
    )
    .addOption(
      new Option(
        '--plain-http',
        'serve without TLS: anybody in the network can read and change what is sent',
      ).env('OFFLINE_DEPLOY_PLAIN_HTTP'),
    )
}

/** What is configured besides the servers. */
export function configureOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--env <name>',
        `environment, whose settings are in environments/NAME/values.yaml (default: ${defaults.environment})`,
      ).env('OFFLINE_DEPLOY_ENV'),
    )
    .addOption(
      new Option(
        '--node-root <folder>',
        'root of the machine whose containerd and apt are configured; `none`: no machine (default: / as root, else none)',
      ).env('OFFLINE_DEPLOY_NODE_ROOT'),
    )
}

/** Options of commands that cannot be undone: they are confirmed twice. */
export function destructiveOptions(command: Command): Command {
  return command
    .option('--yes', 'do not ask for confirmation; without a terminal, required together with --confirm')
    .option('--confirm <environment>', 'the name of the environment, as the second confirmation')
    .option('--dry-run', 'show what would be done; change nothing')
}

/** Which part of an install, and how. */
export function stepOptions(command: Command): Command {
  return command
    .option(
      '--only <steps>',
      'run these steps alone (repeatable, or with commas); `app` is every application',
      list,
    )
    .option('--from <step>', 'run this step and all after it')
    .option('--skip <steps>', 'leave these steps out (repeatable, or with commas)', list)
    .addOption(limitOption())
    .option('--allow-older', 'accept a bundle that is older than the installed one')
    .option(
      '--silence <minutes>',
      'stop a program that prints nothing for this many minutes (default: 60; 0: never)',
      minutes,
    )
}

export function limitOption(): Option {
  return new Option(
    '--limit <hosts>',
    'run on these machines only (Ansible pattern): names and groups, separated by commas; `!` excludes one',
  ).argParser(hostPattern)
}

function list(text: string, before: string[] = []): string[] {
  return [...before, ...text.split(',').filter(Boolean)]
}

/** A pattern of ansible that names machines and groups, and cannot be an option or a file. */
function hostPattern(text: string): string {
  if (/^[a-z0-9_][a-z0-9_.-]*(?:,[!]?[a-z0-9_][a-z0-9_.-]*)*$/.test(text)) return text
  throw new InvalidArgumentError('must be names of machines or groups, with commas between them')
}

function minutes(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('must be a number of minutes')
}

function port(text: string): number {
  const value = Number(text)
  if (/^[0-9]{1,5}$/.test(text) && value <= 65_535) return value
  throw new InvalidArgumentError('must be a port, 0 to 65535 (0: any free port)')
}

/** Bytes; null for `none`. */
function quota(text: string): number | null {
  if (text === 'none') return null
  const [, count = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,3})?)\s?(|B|[KMGTP]iB|[KMGTP]B)$/.exec(text) ?? []
  const power = 'BKMGTP'.indexOf(unit[0] ?? 'B')
  const bytes = Math.floor(Number(count) * (unit.endsWith('iB') ? 1024 : 1000) ** power)
  if (count !== '' && bytes > 0 && Number.isSafeInteger(bytes)) return bytes
  throw new InvalidArgumentError('must be a size such as 500MiB or 200GiB, or `none`')
}

/** Number of serving processes. */
export function processCount(text: string): number {
  const value = Number(text)
  if (/^\d{1,3}$/.test(text) && value >= 1 && value <= 128) return value
  throw new InvalidArgumentError('must be a number from 1 to 128')
}

/** Several in one text: an environment variable is parsed once. */
function digests(text: string, before: Digest[] = []): Digest[] {
  return [
    ...before,
    ...text
      .split(',')
      .filter(Boolean)
      .map(one => {
        if (isDigest(one)) return one
        throw new InvalidArgumentError('must be a digest: sha256: and 64 lower-case hex digits')
      }),
  ]
}
