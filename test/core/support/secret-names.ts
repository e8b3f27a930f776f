/** Names of secrets as charts, programs, clouds and people spell them. */
export const secretNames = `
  ca.key caPrivateKey caBundlePem tls.caCertificateKey africaCert
  password passwords Password PASSWORD passwd db_passwd DBPASSWORD adminpassword admin-password dbPassword
  passwordHash rootPasswordBase64 PGPASSWORD MYSQL_PWD pwd pass dbPass SMTP_PASS userpass rootpw bindPw
  passphrase ssh_passphrase passcode htpasswd ansible_become_pass ansible_ssh_pass vault_db_password
  userInitPassword existingPassword tokenizerPassword secret secrets clientSecret client_secret CLIENT-SECRET nextAuthSecret secretKey
  secretId SECRET_KEY_BASE cookieSecret pullSecret secret.yaml stringSecretValue token tokens apiToken
  API_TOKEN access-token refreshToken bearer_token x-auth-token GITHUB_PAT jwt jwtSigningKey idToken
  join_token VAULT_TOKEN bootstrapToken key keys apiKey apikey APIKEY X-API-Key encryptionKey
  encryption_key encryptionkey AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID accessKey privateKey
  private_key_pem privatekey tls.key ssl-key sshKey deployKeys client-key-data keyData fernetKey masterkey
  licenseKey api_key_prod unsealKeys preSharedKey psk primaryKey id_rsa id_ed25519 keystore server.pem
  client.p12 keystore.jks tlsCert private hmac salt credentials credential cloudCredentials creds
  registryCreds imageCredentials auth auths basicAuth basic-auth proxyauth REDISCLI_AUTH authorization
  Authorization Proxy-Authorization authString cookie sessionCookie Set-Cookie erlang_cookie sessionId
  dockerconfigjson .dockerconfigjson dockercfg kubeconfig KUBECONFIG_DATA .netrc kubeConfig
  connectionString CONNECTION_STRING DATABASE_DSN slackWebhookUrl slack_api_url hook_url keytab dbpw mypw existingSecretPassword snmpCommunity otp postgres.auth.password
  global.postgresql.auth.postgresPassword a/b/secret ｐａｓｓｗｏｒｄ 비밀번호 접속_토큰
`
  .trim()
  .split(/\s+/)
  .concat(['관리자 암호'])

/** Names that only look like a secret, or that describe a secret in a way that an operator needs to read. */
export const plainNames = `
  keyboard keyboardLayout monkey monkeys keycloak keycloakUrl keyword valkey turkey author authors
  authored authority tokenizer TOKENIZERS_PARALLELISM tokenization passthrough passThrough
  ssl_pass_through passHostHeader bypass compass passwordless ansible_passwordless_sudo max_tokens
  maxTokens maxNewTokens secretary accredited sacred secretName secret_name SECRET_NAME tlsSecretName
  existingSecret existingSecretName auth.existingPasswordSecret authUsername existingSecretPasswordKey auth.existingSecret secretRef secretKeyRef
  imagePullSecrets secretStoreRef tokenSecretName secretNamespace passwordLength tokenTtl tokenExpiration
  authMode auth-type authEnabled auth.enabled authorization-mode authUrl tokenPath publicKey public_key
  sshPublicKey authorized_keys id_rsa.pub pubkey keyId keyLength topologyKey labelKey annotation_key
  taint-key configMapKey keySize keyUsages keyServer certManager cert-manager.enabled privateRegistry
  cookieDomain cookie_name SSH_AUTH_SOCK image tag replicas port name value data user username path salted
  pattern - 42 pathType session sessionTimeout node certificateDuration oauth2-proxy.image offline.caCertificate CA_CERT cacert ca-certificates
`
  .trim()
  .split(/\s+/)
  .concat([''])
