{{/* What Helm adds to every object. */}}
{{- define "registry-sts.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "registry-sts.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Who the operator is, as subject of a binding. */}}
{{- define "registry-sts.subjects" -}}
- kind: ServiceAccount
  name: {{ .Values.serviceAccount.name }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* Refuses values that do not go together, which a schema cannot say in plain words. */}}
{{- define "registry-sts.check" -}}
{{- $scope := .Values.scope.namespaces }}
{{- if and $scope .Values.allSecrets.enabled }}
{{- fail "allSecrets.enabled is for all namespaces: leave scope.namespaces empty" }}
{{- end }}
{{- $granted := list }}
{{- range .Values.grants }}
{{- if has .namespace $granted }}
{{- fail (printf "grants names namespace %s twice: list all its roles in one entry" .namespace) }}
{{- end }}
{{- $granted = append $granted .namespace }}
{{- if and $scope (not (has .namespace $scope)) }}
{{- fail (printf "grants names namespace %s, which scope.namespaces leaves out" .namespace) }}
{{- end }}
{{- end }}
{{- if and (or .Values.serviceMonitor.enabled .Values.prometheusRule.enabled) (not .Values.metrics.enabled) }}
{{- fail "serviceMonitor and prometheusRule need metrics.enabled" }}
{{- end }}
{{- with .Values.identities }}
{{- if and .enabled (not .clusterId) }}
{{- fail "identities.enabled needs identities.clusterId: a word that no other cluster has which uses the same AWS account, and that is never changed afterwards, for example prod-eu-1" }}
{{- end }}
{{- if and .enabled $scope }}
{{- fail "identities.enabled is for all namespaces: IdentityPolicies are of the cluster. Leave scope.namespaces empty" }}
{{- end }}
{{- if and .roleArn (not .openshift) }}
{{- fail "identities.roleArn is for identities.openshift: elsewhere the role is the annotation eks.amazonaws.com/role-arn in serviceAccount.annotations" }}
{{- end }}
{{- end }}
{{- end }}
