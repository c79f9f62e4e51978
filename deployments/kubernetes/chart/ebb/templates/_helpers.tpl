{{- define "ebb.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ebb.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "ebb.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "ebb.selector" . }}
app.kubernetes.io/version: {{ default .Chart.AppVersion .Values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "ebb.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ebb.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ebb.secret" -}}
{{- if and .Values.existingSecret .Values.secrets -}}
{{- fail "existingSecret and secrets are both set: name a Secret, or give values to make one from" -}}
{{- end -}}
{{- default (include "ebb.fullname" .) .Values.existingSecret -}}
{{- end -}}

{{- /* HTTPS when ebb itself speaks TLS. */ -}}
{{- define "ebb.scheme" -}}
{{- $http := default (dict) .Values.config.http -}}
{{- ternary "HTTPS" "HTTP" (not (empty (default (dict) $http.tls).cert_file)) -}}
{{- end -}}

{{- /* What ebb reads: the user's configuration, and over it what the chart knows. */ -}}
{{- define "ebb.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $nats := default (dict) $config.nats -}}
{{- if $nats.url -}}
{{- fail "config.nats.url is set: write nats.url instead, which also decides between one pod and several" -}}
{{- end -}}
{{- if .Values.nats.url -}}
{{- $nats = merge (dict "url" .Values.nats.url "listen" "") $nats -}}
{{- end -}}
{{- $_ := set $config "nats" $nats -}}
{{- $http := merge (dict "listen" "0.0.0.0:8480") (default (dict) $config.http) -}}
{{- if and .Values.ingress.enabled .Values.ingress.tlsSecret (not (hasKey $http "behind_tls_proxy")) (not $http.tls) -}}
{{- $http = set $http "behind_tls_proxy" true -}}
{{- end -}}
{{- $_ := set $config "http" $http -}}
{{- $_ := set $config "state_dir" "/var/lib/ebb" -}}
{{- if not $nats -}}
{{- $_ := unset $config "nats" -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
