import { type Command, InvalidArgumentError, Option } from 'commander'
import { repeated } from '../shell/arguments.ts'

export function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 1024)
    throw new InvalidArgumentError('must be a whole number from 1 to 1024')
  return value
}

/** `-f`, `--lock`, `--remap`, …: shared by every command that reads a manifest. */
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
      'fetch from elsewhere: a registry host, host/prefix or URL prefix; TO may be several, by comma (repeatable)',
      repeated,
      [],
    )
    .option(
      '--with <variant>',
      'carry this variant of the manifest, too (repeatable; none: forget those of the lock; default: as the lock)',
      repeated,
      [],
    )
    .option('--test-upstream <file>', 'a rehearsal against an upstream of your own; the bundle is marked')
    .option(
      '--platform <os/arch>',
      'carry these platforms instead of the manifest’s (repeatable)',
      repeated,
      [],
    )
    .addOption(
      new Option('--cache <folder>', 'what was fetched while locking')
        .default(undefined, '~/.cache/airgap')
        .env('AIRGAP_CACHE'),
    )
    .addOption(
      new Option('-j, --jobs <n>', 'how many transfers at once')
        .argParser(positiveInteger)
        .default(6)
        .env('AIRGAP_JOBS'),
    )
}
