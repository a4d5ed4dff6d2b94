{{- define "frontrunner.name" -}}
{{- if contains "frontrunner" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-frontrunner" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels of everything; what selects pods is `component` and these two. */}}
{{- define "frontrunner.labels" -}}
{{ include "frontrunner.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "frontrunner.selector" -}}
app.kubernetes.io/name: frontrunner
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "frontrunner.image" -}}
{{ printf "%s:%s-%s" .root.Values.image.repository (.root.Values.image.tag | default .root.Chart.AppVersion) .device }}
{{- end }}

{{/* What every pod is held to: the profile `restricted`, and a root file system that cannot be written. */}}
{{- define "frontrunner.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "frontrunner.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "frontrunner.fromSecret" -}}
{{- if .key }}
- name: {{ .variable }}
  valueFrom: {secretKeyRef: {name: {{ .secret | quote }}, key: {{ .key | quote }}}}
{{- end }}
{{- end }}

{{/* What migrations need. */}}
{{- define "frontrunner.database" -}}
- {name: FRONTRUNNER_HOME, value: /state}
- {name: HOME, value: /state}
- {name: FRONTRUNNER_DATABASE_URL, value: {{ .Values.database.url | quote }}}
{{- include "frontrunner.fromSecret" (dict "variable" "PGPASSWORD" "secret" .Values.secret.name "key" .Values.secret.databasePassword) }}
{{- end }}

{{/* What API and workers need. */}}
{{- define "frontrunner.environment" -}}
{{ include "frontrunner.database" . }}
{{- $secret := .Values.secret }}
{{- if $secret.brokerUrl }}
{{- include "frontrunner.fromSecret" (dict "variable" "FRONTRUNNER_BROKER_URL" "secret" $secret.name "key" $secret.brokerUrl) }}
{{- else }}
- {name: FRONTRUNNER_BROKER_URL, value: {{ .Values.broker.url | quote }}}
{{- end }}
{{- include "frontrunner.fromSecret" (dict "variable" "FRONTRUNNER_SECRET_KEY" "secret" $secret.name "key" $secret.secretKey) }}
{{- include "frontrunner.fromSecret" (dict "variable" "FRONTRUNNER_ENCRYPTION_KEYS" "secret" $secret.name "key" $secret.encryptionKeys) }}
{{- include "frontrunner.fromSecret" (dict "variable" "FRONTRUNNER_HUB_TOKEN" "secret" $secret.name "key" $secret.hubToken) }}
{{- include "frontrunner.fromSecret" (dict "variable" "AWS_ACCESS_KEY_ID" "secret" $secret.name "key" $secret.awsAccessKeyId) }}
{{- include "frontrunner.fromSecret" (dict "variable" "AWS_SECRET_ACCESS_KEY" "secret" $secret.name "key" $secret.awsSecretAccessKey) }}
- {name: FRONTRUNNER_STORE_URL, value: {{ .Values.store.url | quote }}}
{{- with .Values.store.endpointUrl }}
- {name: AWS_ENDPOINT_URL, value: {{ . | quote }}}
{{- end }}
{{- with .Values.store.region }}
- {name: AWS_DEFAULT_REGION, value: {{ . | quote }}}
{{- end }}
- {name: FRONTRUNNER_HUB_MODE, value: {{ .Values.hub.mode | quote }}}
{{- if .Values.hub.claim }}
- {name: FRONTRUNNER_HUB, value: /hub}
{{- else }}
- {name: FRONTRUNNER_HUB, value: ""}
{{- end }}
- {name: FRONTRUNNER_FORWARD_QUEUE, value: {{ ternary "gpu" "cpu" .Values.workers.gpu.enabled }}}
{{- with .Values.telemetry.endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ printf "FRONTRUNNER_%s" (upper $name) }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end }}

{{- define "frontrunner.mounts" -}}
- {name: state, mountPath: /state}
- {name: tmp, mountPath: /tmp}
{{- if .Values.hub.claim }}
- {name: hub, mountPath: /hub, readOnly: true}
{{- end }}
{{- end }}

{{- define "frontrunner.volumes" -}}
- {name: state, emptyDir: {sizeLimit: {{ .scratch | quote }}}}
- {name: tmp, emptyDir: {sizeLimit: {{ .scratch | quote }}}}
{{- if .root.Values.hub.claim }}
- {name: hub, persistentVolumeClaim: {claimName: {{ .root.Values.hub.claim | quote }}, readOnly: true}}
{{- end }}
{{- end }}

{{/* The fields of a pod that are the same for every role. */}}
{{- define "frontrunner.pod" -}}
automountServiceAccountToken: {{ ne .Values.serviceAccount.name "" }}
enableServiceLinks: false
{{- with .Values.serviceAccount.name }}
serviceAccountName: {{ . | quote }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {name: {{ . | quote }}}
  {{- end }}
{{- end }}
securityContext:
  {{- include "frontrunner.podSecurity" . | nindent 2 }}
{{- end }}

{{/* What every pod may reach: names, and the database. */}}
{{- define "frontrunner.egress" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
- ports:
    - {protocol: TCP, port: {{ .Values.database.port }}}
{{- end }}
