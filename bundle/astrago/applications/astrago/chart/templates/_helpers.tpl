{{/* image of a part: the site's registry in place of the publisher's */}}
{{- define "astrago.image" -}}
{{ .root.Values.imageRegistry | default .image.registry }}/{{ .image.repository }}:{{ .image.tag }}
{{- end }}

{{- define "astrago.labels" -}}
app.kubernetes.io/name: {{ . }}
app.kubernetes.io/part-of: astrago
{{- end }}

{{/* an environment variable out of the Secret */}}
{{- define "astrago.secret" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: astrago, key: {{ .key }}}}
{{- end }}

{{/* what core and batch share: database, Keycloak, Harbor */}}
{{- define "astrago.backend" -}}
- {name: SPRING_JPA_HIBERNATE_DDL-AUTO, value: none}
- {name: SPRING_DATASOURCE_URL, value: 'jdbc:mariadb://{{ .Values.database.host }}:3306/{{ .Values.database.name }}'}
- {name: SPRING_DATASOURCE_USERNAME, value: {{ .Values.database.username | quote }}}
{{ include "astrago.secret" (dict "name" "SPRING_DATASOURCE_PASSWORD" "key" "databasePassword") }}
- {name: SPRING_DATASOURCE_HIKARI_MAX-LIFETIME, value: {{ .Values.database.maxLifetime | quote }}}
{{- end }}

{{- define "astrago.identity" -}}
{{- $realm := printf "%s/realms/%s" (trimSuffix "/" .Values.keycloakUrl) .Values.realm }}
- {name: SPRING_SECURITY_OAUTH2_RESOURCE-SERVER_JWT_ISSUER-URI, value: {{ $realm | quote }}}
- {name: SPRING_SECURITY_OAUTH2_RESOURCE-SERVER_JWT_JWK-SET-URI, value: '{{ $realm }}/protocol/openid-connect/certs'}
- {name: KEYCLOAK_REALM, value: {{ .Values.realm | quote }}}
- {name: KEYCLOAK_AUTH-SERVER-URL, value: '{{ trimSuffix "/" .Values.keycloakUrl }}/'}
- {name: KEYCLOAK_RESOURCE, value: {{ .Values.client | quote }}}
{{ include "astrago.secret" (dict "name" "ADMIN_NAME" "key" "keycloakAdminUser") }}
{{ include "astrago.secret" (dict "name" "ADMIN_PASSWORD" "key" "keycloakAdminPassword") }}
{{ include "astrago.secret" (dict "name" "ADMIN_INIT-PASSWORD" "key" "userInitPassword") }}
- {name: ASTRAGO_PRIVATE-REGISTRY-URL, value: {{ .Values.privateRegistry | quote }}}
- {name: HARBOR_URL, value: {{ .Values.harborUrl | quote }}}
- {name: HARBOR_ID, value: admin}
{{ include "astrago.secret" (dict "name" "HARBOR_PASSWORD" "key" "harborPassword") }}
{{- end }}
