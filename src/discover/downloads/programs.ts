/** What programs fetch when they start, although no URL is written: data. */

export interface VariableRule {
  /** name of the environment variable, or of a key of a ConfigMap */
  variable: string
  /** value with which nothing is fetched; an empty value never fetches */
  unless?: string
  /** what is fetched; `{name}` is each entry of the value */
  url: string
  source: string
}

const grafana = 'grafana.com/docs/grafana: Configure Grafana, Docker image'
const trivy = 'aquasecurity/trivy: docs/configuration/db.md'
const harbor = 'harbor-scanner-trivy, environment variables'

export const fetchingVariables: readonly VariableRule[] = [
  {
    variable: 'SCANNER_TRIVY_SKIP_UPDATE',
    unless: 'true',
    url: 'oci://ghcr.io/aquasecurity/trivy-db:2',
    source: harbor,
  },
  {
    variable: 'SCANNER_TRIVY_SKIP_JAVA_DB_UPDATE',
    unless: 'true',
    url: 'oci://ghcr.io/aquasecurity/trivy-java-db:1',
    source: harbor,
  },
  { variable: 'TRIVY_DB_REPOSITORY', url: 'oci://{name}', source: trivy },
  { variable: 'TRIVY_JAVA_DB_REPOSITORY', url: 'oci://{name}', source: trivy },
  { variable: 'trivy.dbRepository', url: 'oci://{name}', source: trivy },
  { variable: 'trivy.javaDbRepository', url: 'oci://{name}', source: trivy },
  { variable: 'GF_INSTALL_PLUGINS', url: 'https://grafana.com/api/plugins/{name}', source: grafana },
  { variable: 'GF_PLUGINS_PREINSTALL', url: 'https://grafana.com/api/plugins/{name}', source: grafana },
  { variable: 'GF_PLUGINS_PREINSTALL_SYNC', url: 'https://grafana.com/api/plugins/{name}', source: grafana },
  {
    variable: 'plugins.txt',
    url: 'https://updates.jenkins.io/download/plugins/{name}',
    source: 'jenkinsci/plugin-installation-manager-tool',
  },
  {
    variable: 'falcoctl.yaml',
    url: 'https://falcosecurity.github.io/falcoctl/index.yaml',
    source: 'falcosecurity/falcoctl: README, configuration',
  },
]

export interface CommandRule {
  command: RegExp
  /** options with which it fetches from elsewhere, or nothing */
  unless?: RegExp
  url: string
}

export const fetchingCommands: readonly CommandRule[] = [
  {
    command: /\bpip3? install\b/,
    unless: /--no-index|--index-url|(?:^|\s)-i\s|PIP_INDEX_URL/,
    url: 'https://pypi.org/simple/',
  },
  { command: /\bnpm (?:install|ci|i)\b/, unless: /--registry|--offline/, url: 'https://registry.npmjs.org/' },
  {
    command: /\bapk (?:add|update|upgrade)\b/,
    unless: /--no-network|--repository/,
    url: 'https://dl-cdn.alpinelinux.org/',
  },
  { command: /\bapt(?:-get)? (?:-\S+ )*(?:update|install)\b/, url: 'https://deb.debian.org/' },
  { command: /\b(?:yum|dnf|microdnf) (?:-\S+ )*install\b/, url: 'https://mirrors.fedoraproject.org/' },
  { command: /\bgem install\b/, unless: /--local/, url: 'https://rubygems.org/' },
  { command: /\bgo install \S+@/, url: 'https://proxy.golang.org/' },
  { command: /\bgrafana(?:-cli| cli) plugins install\b/, url: 'https://grafana.com/api/plugins/' },
  { command: /\b(?:jenkins-plugin-cli|install-plugins\.sh)\b/, url: 'https://updates.jenkins.io/' },
  { command: /--experimental\.plugins\.\S+\.modulename/i, url: 'https://plugins.traefik.io/' },
  { command: /\bollama pull\b/, url: 'https://registry.ollama.ai/' },
  {
    command: /(?:\bvllm serve|--model(?:-id|-name)?)[= ]["']?[A-Za-z0-9][\w.-]*\/[\w.-]+/,
    url: 'https://huggingface.co/',
  },
  {
    command: /\belasticsearch-plugin (?:-\S+ )*install\b/,
    unless: /file:/,
    url: 'https://artifacts.elastic.co/downloads/elasticsearch-plugins/',
  },
  {
    command: /\bopensearch-plugin (?:-\S+ )*install\b/,
    unless: /file:/,
    url: 'https://artifacts.opensearch.org/',
  },
]

/** Programs that fetch the URLs among their arguments. */
export const fetchingPrograms =
  /\b(?:curl|wget|git (?:clone|fetch|pull)|pip3?|npm|helm|kubectl|apk|apt|apt-get|yum|dnf|go|aria2c|rclone|skopeo|crane|oras|hf|huggingface-cli|fetch|download)\b/
