import { generateKeyPairSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { DeclaredSecret } from '../../../src/kinds/declared-secrets.ts'
import { secretIn } from '../../../src/kinds/secret-files.ts'
import { treeKind } from '../../../src/kinds/tree/index.ts'
import { loadManifest } from '../../../src/manifest/load.ts'
import { expectKindContract, refused, temporaryFolder, testContext } from '../support/context.ts'

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
}) as string
const kubeconfig = `apiVersion: v1\nkind: Config\nclusters: []\nusers:\n- name: admin\n  user:\n    client-key-data: ${Buffer.from(key).toString('base64')}\n`
const sops = `password: ENC[AES256_GCM,data:abc,iv:x,tag:y,type:str]\nsops:\n    mac: ENC[AES256_GCM,data:z,type:str]\n    version: 3.8.1\n`
const sopsJson = JSON.stringify({ password: 'ENC[AES256_GCM,data:abc]', sops: { mac: 'ENC[AES256_GCM,x]' } })

const look = (path: string, text: string | Buffer) => secretIn(path, Buffer.from(text))

describe('a file that looks like a secret', () => {
  it.each([
    ['environments/prod/secrets.yaml', 'database:\n  password: hunter2\n'],
    ['secrets.json', '{\n  "user": "admin"\n}\n'],
    ['app-secrets.yml', 'a: b\n'],
    ['credentials.ini', 'user = admin\n'],
    ['vault.yml', 'vault_password: hunter2\n'],
    ['.env', 'DB_HOST=db\n'],
    ['.env.production', 'export TOKEN=abc\n'],
    ['deploy/prod.env', 'DB_PASSWORD="hunter2"\n'],
    ['deploy/prod.env', 'DATABASE_URL=postgres://u:hunter2@db/x\n'],
    ['.netrc', 'machine x login y password z\n'],
    ['home/.git-credentials', 'https://u:p@x.example\n'],
    ['.npmrc', '//registry.example/:_authToken=abc\n'],
    ['.docker/config.json', '{"auths":{"x.example":{"auth":"dTpw"}}}'],
    ['aws', '[default]\naws_secret_access_key = wJalrXUtnFEMIK7MDENG\n'],
    ['tls/site.pem', key],
    ['values.yaml', `tls:\n  key: |\n    ${key.replaceAll('\n', '\n    ')}`],
    ['values.json', JSON.stringify({ key })],
    ['id_ed25519', 'any content'],
    ['site.p12', Buffer.from([0x30, 0x82, 1, 2])],
    ['keys.txt', 'AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQ'],
    ['admin.conf', kubeconfig],
    ['any.yaml', kubeconfig],
    ['one-line', JSON.stringify({ kind: 'Config', users: [{ user: { token: 'abc' } }] })],
    ['kubeconfig', 'clusters:\n- cluster: {server: https://x}\nusers: []\n'],
    ['.vault_pass', 'hunter2\n'],
    ['vault-password.txt', 'hunter2\n'],
    ['.ansible-vault-pass', 'hunter2'],
    ['terraform.tfstate', '{"version": 4}'],
    ['.htpasswd', 'admin:$apr1$x'],
    ['.vault_pass_prod', 'hunter2\n'],
    ['ansible/vault-password-file', 'hunter2\n'],
    ['environments/secrets.prod.yaml', 'db:\n  password: hunter2\n'],
    ['secrets/db_password', 'hunter2\n'],
    ['secrets/api-token.txt', 'hunter2\n'],
    ['manifests/db.yaml', 'apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata:\n  user: YWRtaW4=\n'],
    ['all.yaml', 'kind: Service\n---\nkind: Secret\nstringData:\n  user: admin\n'],
    // encrypted in part
    ['secrets.yaml', `${sops}key: |\n  ${key.replaceAll('\n', '\n  ')}`],
  ])('%s is one', (path, text) => {
    expect(look(path, text)).toBeTruthy()
  })

  it.each([
    ['secrets.yaml', sops],
    ['secrets.json', sopsJson],
    ['.env', 'DB_PASSWORD=ENC[AES256_GCM,data:a]\nsops_mac=ENC[AES256_GCM,data:b]\n'],
    ['group_vars/all/vault.yml', '$ANSIBLE_VAULT;1.1;AES256\n6162\n'],
    ['secrets.yaml', Buffer.from('\0GITCRYPT\0abc', 'latin1')],
    ['secrets.yaml', '-----BEGIN AGE ENCRYPTED FILE-----\nabc\n'],
    ['secrets.yaml', ''],
    ['secrets.yaml', '# password: x\npassword:\ntoken: ""\nkey: null\nlist: []\n'],
    ['secrets.yaml', 'password: {{ .Values.x }}\ntoken: ref+vault://x\nkey: ${KEY}\nother: CHANGE_ME\n'],
    ['secrets.schema.yaml', 'properties:\n  password: {type: string}\n'],
    ['secrets.yaml.gotmpl', 'password: {{ env "X" }}\n'],
    ['chart/templates/secrets.yaml', 'kind: Secret\ntype: Opaque\ndata:\n  a: {{ .Values.a | b64enc }}\n'],
    ['secret-reader.yaml', 'kind: Role\nrules:\n- resources: [secrets]\n'],
    ['chart/templates/db.yaml', 'kind: Secret\ndata:\n  user: {{ .Values.user | b64enc }}\n'],
    ['a.yaml', 'kind: Secret\nmetadata: {name: x}\ntype: kubernetes.io/service-account-token\n'],
    ['a.yaml', 'kind: SealedSecret\nspec:\n  encryptedData:\n    a: AgBy\n'],
    ['a.yaml', 'kind: ConfigMap\ndata:\n  a: b\n'],
    ['vault-password.sh', '#!/bin/sh\npass show vault\n'],
    ['known_tokens', 'a b c\n'],
    ['.env.example', 'DB_PASSWORD=hunter2\n'],
    ['versions.env', 'KUBE_VERSION=1.28\n'],
    ['docs/tls.md', 'It begins with -----BEGIN PRIVATE KEY----- and so on.\n'],
    ['docs/tls.md', '-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n'],
    ['tls/ca.crt', '-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIQIRi6zePL6mKjOipn+dNuaTAKBggqhkjOPQQD\n'],
    ['id_ed25519.pub', 'ssh-ed25519 AAAA'],
    ['kustomization.yaml', 'kind: Kustomization\nsecretGenerator: []\n'],
    ['config.yaml', 'kind: Config\ntoken: {{ .Values.token }}\n'],
    ['roles/token/tasks/main.yml', '- name: token\n'],
  ])('%s is none', (path, text) => {
    expect(look(path, text)).toBeUndefined()
  })
})

async function folderOf(files: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder()
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  return folder
}

describe('a tree with such files', () => {
  const files = { 'a.yaml': 'a: 1\n', 'prod/secrets.yaml': 'password: hunter2\n', 'tls/site.key': key }
  const lock = async (folder: string, more: { exclude?: string[]; secrets?: DeclaredSecret[] } = {}) => {
    const request = { at: 'stack.yaml:5:5', name: 'deploy', from: 'deploy', folder, exclude: [], ...more }
    const context = await testContext()
    return { locked: await treeKind.resolve(request, context), notes: context.progress.notes }
  }

  it('is refused, with all of them and without their content', async () => {
    const error = await refused(lock(await folderOf(files)), 'MANIFEST_INVALID')
    expect(error.message).toContain('2 files that look like secrets')
    expect(error.message).toContain('deploy/prod/secrets.yaml: a file of secrets')
    expect(error.message).toContain('deploy/tls/site.key: a private key')
    expect(JSON.stringify(error)).not.toContain('hunter2')
  })

  it('is locked where they are excluded or declared; the lock and a note have the reasons', async () => {
    const folder = await folderOf(files)
    const secrets = [{ path: '*.key', reason: 'a test key' }]
    await refused(lock(folder, { secrets }), 'MANIFEST_INVALID')
    const { locked, notes } = await lock(folder, { secrets, exclude: ['secrets.yaml'] })
    expect(locked.secrets).toEqual([{ path: 'tls/site.key', what: 'a private key', reason: 'a test key' }])
    expect(notes).toEqual(['tree deploy carries tls/site.key: a private key (declared: a test key)'])
    await expectKindContract(treeKind, locked)
    expect((await lock(folder, { exclude: ['secrets.yaml', 'tls'] })).locked).not.toHaveProperty('secrets')
  })

  it.each(['manifests/astrago.yaml', 'manifests/demo.yaml'])('is none of those of %s', async path => {
    const manifest = await loadManifest(join(import.meta.dirname, '../../..', path))
    for (const tree of manifest.trees)
      expect((await treeKind.resolve(tree, await testContext())).secrets).toBeUndefined()
  })
})
