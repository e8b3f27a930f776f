import { has } from '../run.ts'
import type { BenchTable } from './rows.ts'

/** A program, or two, that copy images into one file. */
export interface BuildPeer {
  name: string
  /**
   * shell commands that make one file, `$2`, from the images that are further arguments and the files in the folder `$PROGRAMS`, which every
   * bundle of ours carries, too; `$1` is an empty folder
   */
  script: string
}

const each = (command: string) => `n=0; for image; do n=$((n + 1)); ${command}; done`

/** Returns the peers that are installed, and names the others in the table. */
export function buildPeers(table: BenchTable): BuildPeer[] {
  const start = 'set -e; folder=$1; file=$2; shift 2;'
  const tar = 'tar -cf "$file" -C "$folder" . -C "$PROGRAMS" .'
  const all: BuildPeer[] = [
    {
      name: 'skopeo + tar',
      script: `${start} ${each('skopeo copy -q --src-tls-verify=false "docker://$image" "oci:$folder:$n"')}; ${tar}`,
    },
    {
      name: 'crane + tar',
      script: `${start} crane pull --insecure --format=oci "$@" "$folder"; ${tar}`,
    },
    {
      name: 'oras + tar',
      script: `${start} ${each('oras copy --no-tty --from-plain-http --to-oci-layout "$image" "$folder:$n"')}; ${tar}`,
    },
    {
      name: 'hauler',
      script: `${start} export HOME=$folder; ${each('hauler store add image "$image" --exclude-extras --store "$folder/store" --log-level error')}; for program in "$PROGRAMS"/*; do hauler store add file "$program" --store "$folder/store" --log-level error; done; hauler store save --store "$folder/store" --filename "$file.zst" --log-level error; mv "$file.zst" "$file"`,
    },
  ]
  return all.filter(({ name }) => {
    const program = name.split(' ')[0]!
    if (has(program)) return true
    table.leaveOut(program)
    return false
  })
}
