import { type Command, InvalidArgumentError, Option } from 'commander'
import { repeated } from '../shell/arguments.ts'

export function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 1024)
    throw new InvalidArgumentError('must be a whole number from 1 to 1024')
  return value
}

/** Adds the options that every command that reads a manifest has: `-f`, `--lock`, `--remap`, … */
export function stackOptions(command: Command): Command {
  return command
    .addOption(new Option('-f, --file <manifest>', 'stack manifest').default('stack.yaml').env('AIRGAP_FILE'))
    .addOption(
      new Option('--lock <file>', 'lockfile')
        .default(undefined, 'NAME.lock.json beside the manifest')
        .env('AIRGAP_LOCK'),
    )
    .option(
      '--remap <from=to>',
      'fetch from another place: FROM and TO are registry hosts, host/prefix or URL prefixes; TO may be a comma-separated list (repeatable)',
      repeated,
      [],
    )
    .option(
      '--with <variant>',
      'also include this variant of the manifest (repeatable; none: drop those of the lockfile; default: those of the lockfile)',
      repeated,
      [],
    )
    .option(
      '--test-upstream <file>',
      'rehearse against the test upstream that this file describes; the bundle is marked as a rehearsal',
    )
    .option(
      '--platform <os/arch>',
      'include this platform instead of those in the manifest (repeatable)',
      repeated,
      [],
    )
    .addOption(
      new Option('--cache <folder>', 'folder for content that was fetched while locking')
        .default(undefined, '~/.cache/airgap')
        .env('AIRGAP_CACHE'),
    )
    .addOption(
      new Option('-j, --jobs <n>', 'number of parallel transfers')
        .argParser(positiveInteger)
        .default(6)
        .env('AIRGAP_JOBS'),
    )
}
