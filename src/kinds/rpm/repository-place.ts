import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { hasSecretUrl, redactText } from '../../core/redact.ts'
import { isSecretName } from '../../core/secret-names.ts'
import { withoutTrailing } from '../../core/trim.ts'
import type { Mistakes } from '../../document/mistakes.ts'
import { publicBaseUrl, publicUrl } from '../../document/urls.ts'
import { substituteVariables } from '../../remote/url-variables.ts'

/** A repository as a manifest writes it: an address with variables, for all architectures of its entry. */
interface Written {
  id: string
  baseurl?: string | undefined
  mirrorlist?: string | undefined
  metalink?: string | undefined
  client?: unknown
}

/** A repository of one address: where it is, or what lists its mirrors. */
export interface RepositoryPlace {
  id: string
  place:
    | { baseurl: string }
    | { mirrorlist: string; variables: Record<string, string> }
    | { metalink: string; variables: Record<string, string> }
}

const forms = ['baseurl', 'mirrorlist', 'metalink'] as const

/**
 * Replaces the variables in the address of a repository. An address that depends on the architecture makes a repository of each, named
 * `ID-ARCHITECTURE`. Reports mistakes.
 */
export function placesOf(
  repository: Written,
  {
    entry,
    at,
    mistakes,
  }: {
    entry: { name: string; architectures: readonly string[]; variables: Record<string, string> }
    at: (key?: string) => string
    mistakes: Mistakes
  },
): RepositoryPlace[] {
  const written = forms.filter(form => repository[form] !== undefined)
  const [form] = written
  if (form === undefined || written.length > 1) {
    mistakes.add(
      new AirgapError(
        'MANIFEST_INVALID',
        form === undefined ? 'the repository has no address' : 'the repository has several addresses',
        { item: at(written[1]), next: 'write one of `baseurl:`, `mirrorlist:` and `metalink:`' },
      ),
    )
    return []
  }
  if (form !== 'baseurl' && repository.client !== undefined) {
    mistakes.add(
      new AirgapError('MANIFEST_INVALID', 'a client certificate is sent to one server only', {
        item: at('client'),
        next: 'write `baseurl:` instead of a list of mirrors',
      }),
    )
    return []
  }
  const places = entry.architectures.flatMap(architecture => {
    const variables = variablesOf(entry, architecture)
    const address = mistakes.attempt(() => addressOf(repository[form]!, { form, variables, at: at(form) }))
    if (address === undefined) return []
    const place =
      form === 'baseurl' ? { baseurl: address } : { [form]: address, variables: withoutSecrets(variables) }
    return [{ id: repository.id, architecture, place: place as RepositoryPlace['place'] }]
  })
  const [first] = places
  const same = places.every(({ place }) => JSON.stringify(place) === JSON.stringify(first?.place))
  if (same) return places.slice(0, 1)
  return places.map(({ id, architecture, place }) => ({ id: `${id}-${architecture}`, place }))
}

/** dnf.conf(5) */
const clientLogin = 'username= and password= in the .repo file'

function addressOf(
  written: string,
  { form, variables, at }: { form: (typeof forms)[number]; variables: Record<string, string>; at: string },
): string {
  const unknown = new Set<string>()
  const address = substituteVariables(written, { variables, unknown: name => unknown.add(name) })
  if (unknown.size > 0) {
    throw new AirgapError(
      'MANIFEST_INVALID',
      `unknown variable in the address: ${[...unknown].map(name => `$${name}`).join(', ')}`,
      {
        item: `${at}: ${redactText(written).slice(0, 300)}`,
        likely: `known are ${Object.keys(variables)
          .sort()
          .map(name => `$${name}`)
          .join(', ')}`,
        next: 'set it under `variables:` of the entry, with the value that /etc/dnf/vars on the machines has',
      },
    )
  }
  if (!/^https?:\/\//i.test(address)) {
    throw new AirgapError('MANIFEST_INVALID', 'the address of the repository is not an http or https URL', {
      item: `${at}: ${redactText(address).slice(0, 300)}`,
      next: 'write it as https://host/path',
    })
  }
  if (form === 'baseurl') {
    publicBaseUrl(address, at, clientLogin)
    return withoutTrailing(address, '/')
  }
  publicUrl(address, at, clientLogin)
  if (!hasSecretUrl(address)) return address
  throw new AirgapError('MANIFEST_INVALID', 'the URL contains a credential', {
    item: `${at}: ${redactText(address).slice(0, 300)}`,
    likely: 'the lockfile and the bundle would carry it',
    next: 'name a mirror with `baseurl:`, and its login in ~/.netrc',
  })
}

/** dnf.conf(5); what an entry sets itself comes first. */
function variablesOf(
  { name, variables }: { name: string; variables: Record<string, string> },
  architecture: string,
): Record<string, string> {
  // machines of the RHEL family have their major release: `Provides: system-release(releasever) = 9`
  const releasever = variables['releasever'] ?? /(?<![0-9])([0-9]+)(?:\.[0-9]+)?$/.exec(name)?.[1]
  const [major, minor] =
    releasever === undefined ? [] : [releasever.split('.')[0], releasever.split('.')[1] ?? '']
  return {
    ...defined({ releasever, releasever_major: major, releasever_minor: minor }),
    arch: architecture,
    basearch: baseArchitectures[architecture] ?? architecture,
    ...variables,
  }
}

/** The lock has the variables that a list of mirrors may use. */
function withoutSecrets(variables: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !isSecretName(name)))
}

/** dnf/rpm/__init__.py: architectures whose repositories have another name. */
const baseArchitectures: Readonly<Record<string, string>> = {
  i486: 'i386',
  i586: 'i386',
  i686: 'i386',
  athlon: 'i386',
  amd64: 'x86_64',
  armv5tel: 'arm',
  armv6hl: 'armhfp',
  armv7hl: 'armhfp',
  armv7hnl: 'armhfp',
  armv8hl: 'armhfp',
}
