{{/* Objects of files/, which generate.py copies from where they are kept, as this release has them.
     root; files: a glob; kinds: which objects of these; except: the name of a file to leave out. */}}
{{- define "registry-sts.delivered" -}}
{{- range $path, $_ := .root.Files.Glob .files }}
{{- if ne (base $path) ($.except | default "") }}
{{- range regexSplit "(?m)^---$" ($.root.Files.Get $path) -1 }}
{{- $object := fromYaml . }}
{{- if has $object.kind $.kinds }}
---
{{ include "registry-sts.released" (dict "root" $.root "object" $object) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* An object with the labels, the namespace, the account and the audiences of this release. */}}
{{- define "registry-sts.released" -}}
{{- $root := .root }}
{{- $object := .object }}
{{- $labels := fromYaml (include "registry-sts.labels" $root) }}
{{- $_ := set $object.metadata "labels" (merge $labels ($object.metadata.labels | default dict)) }}
{{- if $object.metadata.namespace }}
{{- $_ := set $object.metadata "namespace" $root.Release.Namespace }}
{{- end }}
{{- if $object.subjects }}
{{- $_ := set $object "subjects" (fromYamlArray (include "registry-sts.subjects" $root)) }}
{{- end }}
{{- if eq $object.kind "ValidatingAdmissionPolicy" }}
{{- $account := printf "'system:serviceaccount:%s:%s'" $root.Release.Namespace $root.Values.serviceAccount.name }}
{{- range $object.spec.matchConditions }}
{{- $_ := set . "expression" (replace "'system:serviceaccount:registry-sts:registry-sts'" $account .expression) }}
{{- end }}
{{- with $root.Values.allowAudience }}
{{- $listed := printf "['%s']" (join "', '" .) }}
{{- $named := join ", " . }}
{{- range $object.spec.validations }}
{{- $_ := set . "expression" (replace "['sts.amazonaws.com']" $listed .expression) }}
{{- $_ := set . "message" (replace "the audience sts.amazonaws.com only" (printf "these audiences only: %s" $named) .message) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $object }}
{{- end }}

{{/* The rules of a ClusterRole of files/rbac. */}}
{{- define "registry-sts.rules" -}}
{{- range $path, $_ := .root.Files.Glob "files/rbac/*.yaml" }}
{{- range regexSplit "(?m)^---$" ($.root.Files.Get $path) -1 }}
{{- $object := fromYaml . }}
{{- if and (eq ($object.kind | default "") "ClusterRole") (eq $object.metadata.name $.name) }}
{{- toYaml $object.rules }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
