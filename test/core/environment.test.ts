import { expect, it } from 'vitest'
import { withoutSecrets } from '../../src/core/environment.ts'

it('secrets are kept from programs that have no need of them', () => {
  const kept = { PATH: '/bin', OFFLINE_DEPLOY_SITE: '/opt/site', OFFLINE_DEPLOY_BUNDLE: 'a.tar' }
  const secrets = {
    OFFLINE_DEPLOY_SSH_PASSWORD: 'a',
    OFFLINE_DEPLOY_SUDO_PASSWORD: 'b',
    OFFLINE_DEPLOY_SECRET_KEYCLOAK_ADMINPASSWORD: 'c',
  }
  expect(withoutSecrets({ ...kept, ...secrets })).toEqual(kept)
})
