import { describe, expect, it } from 'vitest'
import { failureOf } from '../../src/discover/render-failures.ts'

/** Messages of helm 3.16 and helmfile 0.169, and what the operator reads next. */
const cases: [message: string, next: RegExp][] = [
  ['Error: repo acme not found', /add the chart of the repository acme to `charts:`.*helmfile repos/],
  ['in ./helmfile.yaml: [exec: "kustomize": executable file not found in $PATH', /^put kustomize on PATH/],
  [
    'failed to read helmfile.yaml: failed loading environment secrets with 1 errors',
    /^install the plugin helm-secrets.*sops/,
  ],
  ['Error: unknown command "secrets" for "helm"', /^install the plugin helm-secrets/],
  ['[helm-secrets] Error while decrypting: sops: command not found', /sops/],
  ['Error: unknown command "diff" for "helm"', /^install the plugin helm-diff/],
  ['exec: "yq": executable file not found in $PATH', /^put yq on PATH/],
  [
    'Error: An error occurred while checking for chart dependencies. You may need to run `helm dependency build` to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: redis, common',
    /^build the dependencies of this chart \(redis, common\).*helm dependency build.*helmfile deps/,
  ],
  [
    'template: stringTemplate:29:43: executing "stringTemplate" at <.Values.loki.retention.enabled>: map has no entry for key "retention"',
    /^set the value loki\.retention in the environment prod/,
  ],
  [
    'Error: template: app/templates/x.yaml:1:10: executing "app/templates/x.yaml" at <.Values.ingress.tls.secret>: nil pointer evaluating interface {}.secret',
    /^set the value ingress\.tls\.secret in the environment prod/,
  ],
  [
    'Error: execution error at (app/templates/x.yaml:3:12): password is required',
    /^set the value that app\/templates\/x\.yaml:3:12 requires/,
  ],
  [
    'template: stringTemplate:1:3: executing "stringTemplate" at <requiredEnv "TOKEN">: error calling requiredEnv: required env var `TOKEN` is not set',
    /^set the variable that the helmfile requires.*TOKEN=/,
  ],
  [
    'environment values file matching "environments/astrago/values.yaml" does not exist in "."',
    /^add environments\/astrago\/values\.yaml, or remove prod/,
  ],
  ['Error: path "./charts/absent" not found', /^add \.\/charts\/absent, or correct its path/],
  [
    'Error: chart requires kubeVersion: >=1.30.0-0 which is incompatible with Kubernetes v1.28.6',
    /for Kubernetes v1\.28\.6.*requires >=1\.30\.0-0/,
  ],
  [
    "Error: values don't meet the specifications of the schema(s) in the following chart(s):\napp:\n- replicas: Invalid type. Expected: integer, given: string",
    /^correct the values that the message names in the environment prod/,
  ],
  ['Error: unknown flag: --post-renderer-args', /newer helm and helmfile.*--post-renderer-args/],
  [
    'something else',
    /^check the values of this release \(environment prod, \/v\.yaml\); .*helmfile -f x template$/,
  ],
]

describe('a release that does not render', () => {
  const deployment = { helmfile: '/t/helmfile.yaml', environment: 'prod', values: ['/v.yaml'] }
  it.each(cases)('%s', (message, next) => {
    const failure = failureOf(message, { item: 'i', deployment, byHand: 'helmfile -f x template' })
    expect(failure.next).toMatch(next)
    expect(failure.likely).not.toBe('')
  })
})
