import { type Command, InvalidArgumentError, Option } from 'commander'
import { repeated } from '../shell/arguments.ts'

/** As given: undefined where the operator said nothing, so that what the site was set up with can take its place. */
export interface SiteOptions {
  bundle: string[]
  site?: string
  address?: string
  registryPort?: number
  httpPort?: number
  listen?: string
  env?: string
  nodeRoot?: string
}

export const defaults = {
  registryPort: 35_000,
  httpPort: 8080,
  listen: '0.0.0.0',
  environment: 'prod',
} as const

function port(text: string): number {
  const value = Number(text)
  if (/^[0-9]{1,5}$/.test(text) && value <= 65_535) return value
  throw new InvalidArgumentError('must be a port, 0 to 65535 (0: any free one)')
}

/** `--bundle` and `--site`: for every command. */
export function bundleOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--bundle <file>', 'the bundle (default: the .tar beside this program; repeatable)')
        .argParser((text: string, before: string[] | undefined) => repeated(text, before ?? []))
        .env('OFFLINE_DEPLOY_BUNDLE'),
    )
    .addOption(
      new Option(
        '--site <folder>',
        'where the state of this site is kept (default: site, beside the program)',
      ).env('OFFLINE_DEPLOY_SITE'),
    )
}

/** Where the servers listen and what clients call them. */
export function serverOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--address <host>',
        'the address under which the site’s machines reach this one (default: its only IPv4)',
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
}

/** What is configured. */
export function configureOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--env <name>',
        `which environments/NAME/values.yaml to set (default: ${defaults.environment})`,
      ).env('OFFLINE_DEPLOY_ENV'),
    )
    .addOption(
      new Option(
        '--node-root <folder>',
        'root of the machine whose containerd and apt are configured; `none`: no machine (default: / as root, else none)',
      ).env('OFFLINE_DEPLOY_NODE_ROOT'),
    )
}
