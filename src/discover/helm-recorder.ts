import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fromSystemError } from '../core/errors.ts'

/**
 * A program that helmfile runs in place of helm. It records every `helm template` instead of running it, so that each release is
 * rendered on its own afterwards: one that fails does not end helmfile, and the output of each is known to be its own.
 */

/** A release as helmfile would render it. */
export interface RecordedRelease {
  name: string
  namespace: string
  /** empty for the current context */
  kubeContext: string
  /** folder of the helmfile, on which relative paths depend */
  cwd: string
  /** a folder, an archive, `repository/chart` or `oci://…` */
  chart: string
  /** version constraint for the chart, if any */
  version: string
  /** arguments of `helm`, from `template` on */
  args: string[]
}

/** What helmfile did with helm. */
export interface Recording {
  releases: RecordedRelease[]
  /** name → URL, of the helmfile's `repositories:` */
  repositories: Map<string, string>
  /** charts that helmfile wanted to download itself, and that `answers` did not have */
  wanted: ChartQuery[]
}

/** A chart as helmfile names it: `repository/chart` or `oci://host/path`, and a version constraint (may be empty). */
export interface ChartQuery {
  reference: string
  version: string
}

/**
 * POSIX sh. The folder of the script holds: `helm` (path of the real one), `charts` (answers), `tmp` (TMPDIR of helmfile), and what
 * is recorded: `calls/*`, `repositories`, `wanted`.
 *
 * Files below `tmp` are copied, because helmfile removes its decrypted values and patched charts when it ends. Repositories and
 * registries are not contacted, and no chart of the tree gets its dependencies: the site's helmfile runs with --skip-deps.
 */
const script = `#!/bin/sh
set -eu
record=$(dirname "$0")
helm=$(cat "$record/helm")
context=
command=
skip=
for word do
  if [ -n "$skip" ]; then
    [ "$skip" = --kube-context ] && context=$word
    skip=
    continue
  fi
  case $word in
    --kube-context | --kubeconfig) skip=$word ;;
    *) command=$word; break ;;
  esac
done
case $command in
  template)
    for word do
      # kustomize patches and the like: helmfile renders into a folder, patches, and makes a chart of the result
      case $word in --output-dir | --output-dir=*) exec "$helm" "$@" ;; esac
    done
    call=$(mktemp -d "$record/calls/XXXXXXXX")
    copies=0
    for word do
      case $word in
        "$record/tmp/"*)
          copies=$((copies + 1))
          cp -R "$word" "$call/$copies"
          word=$call/$copies ;;
      esac
      printf '%s\\0' "$word"
    done >"$call/args"
    printf %s "$context" >"$call/context"
    pwd >"$call/cwd" ;;
  repo)
    shift
    [ "\${1-}" = add ] && printf '%s %s\\n' "$2" "$3" >>"$record/repositories"
    exit 0 ;;
  registry)
    cat >/dev/null ;;
  dependency | dep)
    case \${3-} in "$record/tmp/"*) exec "$helm" "$@" ;; esac ;;
  pull | fetch)
    reference=$2
    version=-
    folder=.
    previous=
    for word do
      case $previous in
        --version) version=$word ;;
        --destination | -d | --untardir) folder=$word ;;
      esac
      previous=$word
    done
    while IFS='	' read -r known constraint archive; do
      if [ "$known" = "$reference" ] && [ "$constraint" = "$version" ]; then
        [ "$archive" = - ] && exec "$helm" "$@"
        mkdir -p "$folder"
        exec tar -xzf "$archive" -C "$folder"
      fi
    done <"$record/charts"
    printf '%s\\t%s\\n' "$reference" "$version" >>"$record/wanted"
    printf 'Error: the chart %s %s is not carried\\n' "$reference" "$version" >&2
    exit 1 ;;
  *)
    exec "$helm" "$@" ;;
esac
`

/**
 * Writes the recorder into a new folder and returns its path. `answers`: archive of each chart that helmfile downloads itself (of OCI
 * registries, and those that it patches); undefined lets helm try.
 */
export async function writeRecorder(
  folder: string,
  { helm, answers }: { helm: string; answers: readonly (ChartQuery & { archive: string | undefined })[] },
): Promise<string> {
  const path = join(folder, 'helm-recorder')
  try {
    for (const name of ['calls', 'tmp']) await mkdir(join(folder, name), { recursive: true })
    await writeFile(join(folder, 'helm'), helm)
    await writeFile(
      join(folder, 'charts'),
      answers
        .map(({ reference, version, archive = '-' }) => `${reference}\t${version || '-'}\t${archive}\n`)
        .join(''),
    )
    await writeFile(path, script, { mode: 0o700 })
  } catch (error) {
    throw fromSystemError(error, folder)
  }
  return path
}

/** Returns what the recorder in this folder recorded, releases sorted by namespace, name and context. */
export async function readRecording(folder: string): Promise<Recording> {
  const calls = await readdir(join(folder, 'calls')).catch(error => {
    throw fromSystemError(error, folder)
  })
  const releases = await Promise.all(calls.map(call => readCall(join(folder, 'calls', call))))
  const keyOf = ({ namespace, name, kubeContext }: RecordedRelease) =>
    [namespace, name, kubeContext].join('\n')
  const repositories = (await linesOf(join(folder, 'repositories'))).map(line => line.split(' '))
  return {
    releases: releases.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    repositories: new Map(repositories.map(([name = '', url = '']) => [name, url])),
    wanted: [...new Set(await linesOf(join(folder, 'wanted')))].map(line => {
      const [reference = '', version = ''] = line.split('\t')
      // `read` of sh skips empty columns
      return { reference, version: version === '-' ? '' : version }
    }),
  }
}

async function readCall(folder: string): Promise<RecordedRelease> {
  const read = (name: string) => readFile(join(folder, name), 'utf8')
  const words = (await read('args')).split('\0').slice(0, -1)
  const args = words.slice(words.indexOf('template'))
  const flagValue = (flag: string) => {
    const at = args.lastIndexOf(flag)
    return at < 0
      ? (args.find(word => word.startsWith(`${flag}=`))?.slice(flag.length + 1) ?? '')
      : (args[at + 1] ?? '')
  }
  const [, name = '', chart = ''] = args
  return {
    name,
    namespace: flagValue('--namespace'),
    kubeContext: flagValue('--kube-context') || (await read('context')),
    cwd: (await read('cwd')).replace(/\n$/, ''),
    chart,
    version: flagValue('--version'),
    args,
  }
}

async function linesOf(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(error => {
    if (error.code === 'ENOENT') return ''
    throw fromSystemError(error, path)
  })
  return text.split('\n').filter(line => line !== '')
}

/**
 * Returns `name (namespace)` of each release, with the context of the cluster where it alone tells two releases apart (helmfile
 * passes it to `helm template` since 1.0 only).
 */
export function labelsOf(releases: readonly RecordedRelease[]): string[] {
  const plain = releases.map(({ name, namespace }) => (namespace === '' ? name : `${name} (${namespace})`))
  return plain.map((label, i) => {
    const { kubeContext } = releases[i]!
    return kubeContext !== '' && plain.filter(other => other === label).length > 1
      ? `${label} of ${kubeContext}`
      : label
  })
}
