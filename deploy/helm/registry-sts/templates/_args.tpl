{{/* The arguments of the operator. `registry-sts run --help` has every flag. */}}
{{- define "registry-sts.args" -}}
{{- $args := list "run" (printf "--log-format=%s" .Values.logFormat) }}
{{- if .Values.metrics.enabled }}
{{- $args = append $args (printf "--metrics-address=[::]:%d" (int .Values.metrics.port)) }}
{{- if .Values.metrics.tls.secretName }}
{{- $args = append $args "--metrics-tls=/etc/registry-sts/metrics-tls" }}
{{- end }}
{{- end }}
{{- $args = append $args "--health-address=[::]:8081" }}
{{- with .Values.log }}
{{- $args = append $args (printf "--log=%s" .) }}
{{- end }}
{{- range .Values.scope.namespaces }}
{{- $args = append $args (printf "--namespace=%s" .) }}
{{- end }}
{{- with .Values.concurrency }}
{{- $args = append $args (printf "--concurrency=%d" (int64 .)) }}
{{- end }}
{{- with .Values.stsRate }}
{{- $args = append $args (printf "--sts-rate=%d" (int64 .)) }}
{{- end }}
{{- range .Values.allowEndpoint }}
{{- $args = append $args (printf "--allow-endpoint=%s" .) }}
{{- end }}
{{- range .Values.allowNetwork }}
{{- $args = append $args (printf "--allow-network=%s" .) }}
{{- end }}
{{- range .Values.allowAudience }}
{{- $args = append $args (printf "--allow-audience=%s" .) }}
{{- end }}
{{- if .Values.caFile.configMap }}
{{- $args = append $args (printf "--ca-file=/etc/registry-sts/certificates/%s" .Values.caFile.key) }}
{{- end }}
{{- with .Values.identities }}
{{- if .enabled }}
{{- $args = concat $args (list "--enable-identities" (printf "--cluster-id=%s" .clusterId)) }}
{{- with .oidcIssuer }}
{{- $args = append $args (printf "--oidc-issuer=%s" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- concat $args .Values.extraArgs | toYaml }}
{{- end }}
