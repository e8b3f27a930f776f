/** The environment for a program that has no need of the secrets in it: each could be read from it for as long as it runs. */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^OFFLINE_DEPLOY_(?:SECRET_|.*PASSWORD)/.test(name)),
  )
}
