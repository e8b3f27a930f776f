import type { Deployment } from './deployment.ts'

/** Why a release does not render, and what helps in that very case. */
export interface Failure {
  /** the environment, and the release where one is known */
  item: string
  likely: string
  next: string
}

interface Rule {
  /** in the output of helmfile or helm */
  sign: RegExp
  next: (found: RegExpExecArray, context: { deployment: Deployment; byHand: string }) => string
}

const rules: readonly Rule[] = [
  {
    sign: /exec: "kustomize": executable file not found|kustomize: (?:command )?not found|unable to find kustomize/,
    next: () =>
      'put kustomize on PATH (https://kubectl.docs.kubernetes.io/installation/kustomize): helmfile needs it for jsonPatches, strategicMergePatches, transformers and kustomization folders',
  },
  {
    sign: /unknown command "secrets"|helm-secrets|failed loading environment secrets|secrets plugin/i,
    next: () =>
      'install the plugin helm-secrets (helm plugin install https://github.com/jkroepke/helm-secrets) and sops, with the key of these secrets; or pass their values in a file under `values:` of the deployment, and leave `secrets:` out of the environment',
  },
  {
    sign: /exec: "?sops"?: executable file not found|sops: (?:command )?not found|sops.*(?:no key|failed to (?:decrypt|get the data key))/i,
    next: () =>
      'put sops on PATH, and provide the key of these secrets (SOPS_AGE_KEY_FILE, or the GnuPG key)',
  },
  {
    sign: /unknown command "diff"|helm-diff|plugin "diff"/i,
    next: () => 'install the plugin helm-diff: helm plugin install https://github.com/databus23/helm-diff',
  },
  {
    sign: /exec: "([^"]+)": executable file not found/,
    next: ([, program]) =>
      `put ${program} on PATH, or remove what runs it from the helmfile (a hook, a post-renderer, exec)`,
  },
  {
    sign: /found in Chart\.yaml, but missing in charts\/ directory: ([^\n]*)/,
    next: ([, names]) =>
      `build the dependencies of this chart (${names?.trim() || 'see its Chart.yaml'}) and keep its charts/ folder in the tree, because the site cannot download them: run helm dependency build in the folder of the chart, or helmfile deps`,
  },
  {
    sign: /repo (\S+) not found|chart (\S+) (?:\S+ )?is not carried|no repo named "?([^"\s]+)/,
    next: ([, repo, chart], { deployment }) =>
      `add the chart ${chart ?? `of the repository ${repo}`} to \`charts:\` of the manifest, so that it is carried and can be rendered; the site cannot reach the repository, so let ${deployment.helmfile} name the chart as {{ .Values.charts }}/NAME-VERSION.tgz. By hand, on a connected host, helmfile repos adds the repositories`,
  },
  {
    sign: /(?:chart|path) "([^"]+)" (?:not found|doesn't exist)|(?:open|stat|lstat) (\S+): no such file or directory|failed to download "([^"]+)"/,
    next: ([, chart, file, download]) =>
      download !== undefined
        ? `add the chart ${download} to \`charts:\` of the manifest`
        : `add ${chart ?? file}, or correct its path in the helmfile; paths are relative to the file that names them`,
  },
  {
    sign: /required environment variable "?([A-Za-z0-9_]+)|environment variable "?([A-Za-z0-9_]+)"? (?:is )?(?:not set|required)|required env var `?([A-Za-z0-9_]+)/,
    next: ([, a, b, c]) =>
      `set the variable that the helmfile requires, and run this again: ${a ?? b ?? c}=…`,
  },
  {
    sign: /at <\$?\.Values\.([A-Za-z0-9_.]+)>: map has no entry for key "([^"]+)"/,
    next: ([, path = '', key = ''], { deployment }) => setValue(upTo(path, key), deployment),
  },
  {
    sign: /at <\$?\.Values\.([A-Za-z0-9_.]+)>: nil pointer evaluating [^\n]*?\.([A-Za-z0-9_]+)/,
    next: ([, path = '', key = ''], { deployment }) => setValue(upTo(path, key), deployment),
  },
  {
    sign: /map has no entry for key "([^"]+)"|nil pointer evaluating [^\n]*?\.([A-Za-z0-9_]+)/,
    next: ([, key, other], { deployment }) => setValue(key ?? other ?? '', deployment),
  },
  {
    sign: /environment values file matching "([^"]+)" does not exist/,
    next: ([, path], { deployment }) =>
      `add ${path}, or remove ${deployment.environment} from \`environments:\` of the deployment in the manifest`,
  },
  {
    sign: /execution error at \(([^)]+)\): ([^\n]+)/,
    next: ([, template], { deployment, byHand }) =>
      `set the value that ${template} requires in the environment ${deployment.environment}, or in a file under \`values:\` of the deployment in the manifest; to render it by hand, run: ${byHand}`,
  },
  {
    sign: /values don't meet the specifications of the schema/,
    next: (_, { deployment }) =>
      `correct the values that the message names in the environment ${deployment.environment}, or in a file under \`values:\` of the deployment`,
  },
  {
    sign: /chart requires kubeVersion: (\S+(?: \S+)*) which is incompatible with Kubernetes (\S+)/,
    next: ([, range, version]) =>
      `use a version of the chart for Kubernetes ${version} (this one requires ${range}), or correct \`versions: {kubernetes: …}\` in the manifest`,
  },
  {
    // helmfile ends with a panic where it cannot reach a URL
    sign: /pkg\/remote\.HttpFileExists|fetching "https?:\/\/[^"]*"/,
    next: (_, { deployment }) =>
      `add the chart that ${deployment.helmfile} names by its URL to \`charts:\` of the manifest, and let the helmfile name it as {{ .Values.charts }}/NAME-VERSION.tgz, because the site cannot reach the URL`,
  },
  {
    sign: /unknown flag: (\S+)/,
    next: ([, flag]) =>
      `install a newer helm and helmfile, because these do not know ${flag}: ./scripts/setup --with-tools`,
  },
]

function setValue(path: string, { environment }: Deployment): string {
  return `set the value ${path} in the environment ${environment}, or in a file under \`values:\` of the deployment in the manifest (for what only a site knows)`
}

/** The path of the missing value: `loki.retention` of `loki.retention.enabled`, where `retention` is missing. */
function upTo(path: string, key: string): string {
  const parts = path.split('.')
  const at = parts.indexOf(key)
  return at < 0 ? path : parts.slice(0, at + 1).join('.')
}

/** Describes a failure by the output of helmfile or helm. `byHand`: a command that shows the failure again. */
export function failureOf(
  output: string,
  { item, deployment, byHand }: { item: string; deployment: Deployment; byHand: string },
): Failure {
  const likely = reasonOf(output)
  for (const { sign, next } of rules) {
    const found = sign.exec(output)
    if (found) return { item, likely, next: next(found, { deployment, byHand }) }
  }
  const sources = [`environment ${deployment.environment}`, ...deployment.values].join(', ')
  return {
    item,
    likely,
    next: `check the values of this release (${sources}); to render it by hand, run: ${byHand}`,
  }
}

function reasonOf(output: string): string {
  const lines = output
    .split('\n')
    .map(line =>
      line
        .trim()
        .replace(/^(?:Error|STDERR|COMBINED OUTPUT): ?/, '')
        .replace(/^Error: /, ''),
    )
    .filter(line => line !== '' && !/^Use .* to render out invalid YAML$/.test(line))
  const errors = lines.filter(
    line =>
      /error |fail|cannot|nil pointer|not found|no such file|no entry|missing|template:|schema|required|unknown |incompatible/i.test(
        line,
      ) && !/^(?:in .*exited with|hint:)/.test(line),
  )
  const reported = [...new Set(errors.length > 0 ? errors : lines)]
  return reported.slice(-4).join('; ').slice(0, 1200) || 'helm printed no message'
}
