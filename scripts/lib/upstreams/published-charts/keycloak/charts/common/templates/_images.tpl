{{- define "common.images.image" -}}
{{- $registry := .imageRoot.registry -}}
{{- if and .global .global.imageRegistry }}{{ $registry = .global.imageRegistry }}{{ end -}}
{{- $separator := ":" -}}
{{- $termination := .imageRoot.tag | toString -}}
{{- if .imageRoot.digest }}{{ $separator = "@" }}{{ $termination = .imageRoot.digest | toString }}{{ end -}}
{{- if $registry }}{{ $registry }}/{{ end }}{{ .imageRoot.repository }}{{ $separator }}{{ $termination }}
{{- end }}
