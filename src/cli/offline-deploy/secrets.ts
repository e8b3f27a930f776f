import type { Command } from 'commander'
import { secretVariable } from '../../core/environment.ts'
import { AirgapError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import { completeSecrets, type SecretDialogue } from '../../deploy/secrets.ts'
import { defaults } from '../../deploy/site-options.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { askHidden } from '../shell/terminal.ts'

interface SecretsOptions {
  env: string
  ask?: boolean
}

export function secretsCommand(program: Command, shell: Shell): void {
  addExamples(program.command('secrets'), [
    ['offline-deploy secrets /opt/site/deploy/astrago --env prod'],
    ['offline-deploy secrets /opt/site/deploy/astrago --ask', 'type them instead of generating them'],
  ])
    .description(
      'Complete environments/NAME/secrets.yaml of a deployment tree (mode 0600): keep, take or generate each secret, show none',
    )
    .argument('[tree]', 'the deployment tree', '.')
    .option('--env <name>', 'the environment', defaults.environment)
    .option(
      '--ask',
      `ask for each secret on the terminal (default: from ${secretVariable}KEYCLOAK_ADMINPASSWORD and the like, else generated)`,
    )
    .action(async (tree: string, { env, ask }: SecretsOptions) => {
      const dialogue = ask ? terminalDialogue(shell) : undefined
      const completed = await completeSecrets(tree, { environment: env, dialogue })
      const { path, written, secrets } = completed
      shell.print(completed, () => [
        ...secrets.map(
          ({ path: name, description, origin }) => `${origin.padEnd(10)} ${name.padEnd(40)} ${description}`,
        ),
        `${path}: ${written ? 'written, mode 0600' : 'unchanged'}`,
      ])
    })
}

function terminalDialogue({ signal }: Shell): SecretDialogue {
  if (!process.stdin.isTTY)
    throw new AirgapError('USAGE', 'there is no terminal to ask for secrets', {
      item: '--ask',
      next: `set ${secretVariable}… variables, or let the secrets be generated`,
    })
  return {
    askSecret: question => askHidden(question, signal),
    show: text => void process.stderr.write(`${printable(text)}\n`),
  }
}
