import { basename } from 'node:path'
import { type Digest, hexOf } from '../core/digest.ts'
import { printableLine } from '../core/printable.ts'
import { parseMinisign } from './minisign-signature.ts'
import { minisignKeyText, type PublicKey, sshKeyText } from './public-key.ts'
import { sshNamespace } from './ssh-signature.ts'
import type { Statement } from './statement.ts'
import type { GoodSignature } from './verify.ts'

/** What the commands on site need to know. */
export interface Instructed {
  /** name of the bundle's file */
  bundle: string
  statement: Statement
  /** of `B.sums` */
  sumsDigest: Digest
  signatures: (GoodSignature & { bytes: Buffer })[]
}

/**
 * Returns what a person types on site before anything of the medium runs. Each line withstands a malicious medium:
 * - The files are copied first, so that what was verified cannot change afterwards.
 * - Only names of one form are unpacked (`grep`), whatever the list says, should someone go on after a wrong signature.
 * - `tar -O` yields content only: no links, owners, modes or set-user-ID bits of the archive; and `--occurrence=1` the first of two entries
 *   of one name. Neither extra files nor a second `offline-deploy/node` reach the disk.
 * - `mkdir` fails where the folder exists: nothing that was there before can be run by mistake.
 */
export function instructions({ bundle, statement, sumsDigest, signatures }: Instructed): string {
  const { name, version, index, built, expires, files } = statement
  const ways = [...minisignWays(signatures), ...sshWays(signatures)]
  const keys = [...new Map(signatures.map(({ key }) => [key.fingerprint, key])).values()]
  const runs = files.length > 1
  return `${[
    `How to check ${name} ${version} on site, before anything of the medium runs`,
    '',
    'Keep a copy that does not travel with the bundle: on paper, or on the phone of the person on site. This file lies on the same medium as the',
    'bundle; someone who replaces one can replace the other. Use the keys and digests of that copy, and never those of the medium.',
    '',
    `  bundle   ${bundle}, built ${built}${expires === undefined ? '' : `, expires ${expires}`}`,
    `  digest   ${index}`,
    `  sums     sha256:${hexOf(sumsDigest)}`,
    ...keys.flatMap(keyLines),
    '',
    'Type the lines as root. After each one, compare what it prints. If anything differs, or a line prints an error: stop, do not run anything of the',
    'medium, and call the person who built the bundle.',
    '',
    '1. Where the bundle is (replace /media/usb by where the medium is mounted):',
    '',
    `    B=${shellWord(`/media/usb/${bundle}`)}`,
    `    S=${shellWord(`${bundle}.sums`)}`,
    '',
    '2. Copy the list of checksums and its signatures to a new folder on the disk of this machine:',
    '',
    '    cd /opt && mkdir offline-deploy && cp "$B".sums* .',
    '',
    ...signatureStep(ways, keys.length),
    '   Then compare what it is about with your copy: an older bundle has good signatures, too.',
    '',
    '    grep "^#" "$S"',
    '',
    '4. Unpack the files of the list by name, and compare their checksums:',
    '',
    `    for f in index.json ${runs ? '$(grep -o \'offline-deploy/[^ /]*$\' "$S")' : ''}; do tar -xOf "$B" --occurrence=1 "$f" > "$f"; done`.replace(
      ' ;',
      ';',
    ),
    '    sha256sum -c "$S"',
    '',
    `   It prints ${files.length} lines, and each ends with OK:`,
    '',
    ...files.map(({ path }) => `    ${path}: OK`),
    '',
    ...(runs ? lastStep : []),
  ].join('\n')}\n`
}

const lastStep = [
  '5. Only now run something of it. It reads the whole bundle, and compares it with the digest of the list:',
  '',
  '    chmod 755 offline-deploy/*',
  '    export PATH=$PATH:/opt/offline-deploy OFFLINE_DEPLOY_BUNDLE="$B" OFFLINE_DEPLOY_SITE=/opt/site',
  '    export OFFLINE_DEPLOY_EXPECT=$(grep -o \'sha256:.*\' "$S")',
  '    offline-deploy verify',
  '',
]

function keyLines({ short, words, fingerprint }: PublicKey): string[] {
  return [`  key      ${short}  (${words})`, `           ${fingerprint}`]
}

interface Way {
  title: string
  lines: string[]
  expect: string[]
}

function signatureStep(ways: readonly Way[], keys: number): string[] {
  const signed =
    keys > 1
      ? '3. Check its signatures: one of these ways for each key, for as many keys as your copy requires:'
      : '3. Check its signature, in one of these ways:'
  const compare: Way = {
    title:
      ways.length === 0
        ? 'the bundle is not signed: compare all 64 digits with your copy'
        : 'neither of the programs is here (ssh-keygen before OpenSSH 8.1, as on EL 8): compare all 64 digits with your copy',
    lines: ['sha256sum "$S"'],
    expect: [],
  }
  const all = [...ways, compare]
  return [
    ways.length === 0 ? '3. Check the list:' : signed,
    '',
    ...all.flatMap(({ title, lines, expect }, i) => [
      `   ${String.fromCharCode(97 + i)}) ${title}`,
      '',
      ...lines.map(line => `    ${line}`),
      ...(expect.length === 0 ? [] : ['', '   It prints:', '', ...expect.map(line => `    ${line}`)]),
      '',
    ]),
  ]
}

function minisignWays(signatures: Instructed['signatures']): Way[] {
  return signatures
    .filter(({ format }) => format === 'minisign')
    .map(({ key, path, bytes, trustedComment = '' }) => {
      // the ID that minisign compares is the one in the file, which may differ for a key that came in another form
      const minisignId = parseMinisign(bytes)?.keyId ?? key.minisignId
      return {
        title: `with minisign (key ${key.short})`,
        lines: [`minisign -V -m "$S" -x ${inFolder(path)} -P ${minisignKeyText({ ...key, minisignId })}`],
        expect: [
          'Signature and comment signature verified',
          `Trusted comment: ${printableLine(trustedComment, 8192)}`,
        ],
      }
    })
}

function sshWays(signatures: Instructed['signatures']): Way[] {
  return signatures
    .filter(({ format }) => format === 'ssh')
    .map(({ key, path }) => ({
      title: `with ssh-keygen of OpenSSH 8.1 or newer (key ${key.short})`,
      lines: [
        `echo 'airgap ${sshKeyText(key)}' > signers`,
        `ssh-keygen -Y verify -f signers -I airgap -n ${sshNamespace} -s ${inFolder(path)} < "$S"`,
      ],
      expect: [`Good "${sshNamespace}" signature for airgap with ED25519 key ${key.fingerprint}`],
    }))
}

/** `"$S".sig`: the names of signatures start with that of the list. */
function inFolder(path: string): string {
  const name = basename(path)
  return `"$S"${name.slice(name.lastIndexOf('.sums.') + '.sums'.length)}`
}

/** Quoted for sh if it has to be. */
function shellWord(text: string): string {
  return /^[\w./+:@~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
