/** Which folder of src/ may import which. The rules are the design (data flows one way), executed; each README repeats its line. */
export const sourceRules: Readonly<Record<string, readonly string[] | 'any'>> = {
  core: [],
  content: ['core'],
  remote: ['core', 'content'],
  document: ['core'],
  values: ['core', 'document'],
  manifest: ['core', 'document', 'kinds'],
  lock: ['core', 'content'],
  kinds: ['core', 'content', 'remote', 'document', 'lock', 'openpgp'],
  discover: ['core'],
  compat: ['core', 'document', 'manifest'],
  openpgp: ['core'],
  probe: ['core'],
  bundle: ['core', 'content'],
  resolve: ['core', 'content', 'manifest', 'lock', 'kinds', 'probe', 'compat'],
  assemble: ['core', 'content', 'remote', 'lock', 'kinds', 'bundle'],
  serve: ['core', 'content'],
  site: ['core', 'content', 'probe'],
  inventory: ['core', 'document'],
  install: ['core', 'content', 'document', 'site', 'values', 'inventory', 'probe'],
  cli: 'any',
}

/** Which room of scripts/lib may import which. All of them may import src/, the files of scripts/lib itself, and support files of test/. */
export const roomRules: Readonly<Record<string, readonly string[]>> = {
  upstreams: [],
  machines: ['upstreams'],
  agreement: ['upstreams'],
  bench: ['upstreams'],
  demo: ['upstreams', 'machines'],
  rehearsal: ['upstreams', 'machines'],
  kubespray: [],
  testing: [],
}
