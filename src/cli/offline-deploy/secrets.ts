import { resolve } from 'node:path'
import type { Command } from 'commander'
import { secretVariable } from '../../core/environment.ts'
import { AirgapError } from '../../core/errors.ts'
import { defaults } from '../../deploy/site-options.ts'
import { type SecretsDeclaration, secretFault } from '../../site/secrets.ts'
import { secretsFromEnvironment, secretsOf } from '../../site/secrets-file.ts'
import type { Shell } from '../shell/run.ts'
import { askHidden } from '../shell/terminal.ts'

interface SecretsOptions {
  env: string
  ask?: boolean
}

export function secretsCommand(program: Command, shell: Shell): void {
  program
    .command('secrets')
    .description(
      'makes environments/NAME/secrets.yaml of a deployment tree (mode 0600): keeps what is there, takes what is given, generates the rest; shows none of them',
    )
    .argument('[tree]', 'the deployment tree', '.')
    .option('--env <name>', 'the environment', defaults.environment)
    .option(
      '--ask',
      `ask for each on the terminal (default: from ${secretVariable}KEYCLOAK_ADMINPASSWORD and the like, else generated)`,
    )
    .action(async (tree: string, options: SecretsOptions) => {
      if (!/^[a-z0-9][a-z0-9-]{0,40}$/.test(options.env))
        throw new AirgapError('USAGE', 'not the name of an environment', {
          item: options.env,
          next: 'such as prod',
        })
      const secrets = secretsOf(resolve(tree), options.env)
      const declaration = await secrets.declaration()
      const given = secretsFromEnvironment(declaration)
      if (options.ask) await askFor(declaration, { given, signal: shell.signal })
      const { written, origins } = await secrets.complete('write', given)
      shell.print({ path: secrets.path, written, secrets: origins }, () =>
        [
          ...origins.map(
            ({ path: name, description, origin }) => `${origin.padEnd(10)} ${name.padEnd(40)} ${description}`,
          ),
          `${secrets.path}: ${written ? 'written, mode 0600' : 'unchanged'}`,
        ].join('\n'),
      )
    })
}

/** Nothing of what is typed is shown; an empty answer means: generate it. */
async function askFor(
  { secrets, refused }: SecretsDeclaration,
  { given, signal }: { given: Map<string, string>; signal: AbortSignal },
): Promise<void> {
  if (!process.stdin.isTTY)
    throw new AirgapError('USAGE', 'nobody can be asked: there is no terminal', {
      item: '--ask',
      next: `give secrets in ${secretVariable}… variables, or have them generated`,
    })
  for (const secret of secrets) {
    const { path, description } = secret
    while (!given.has(path)) {
      const answer = await askHidden(`${description} (${path}), empty to generate it: `, signal)
      if (answer === '') break
      const wrong = secretFault(answer, { secret, refused })
      if (wrong === undefined) given.set(path, answer)
      else process.stderr.write(`${wrong}\n`)
    }
  }
}
