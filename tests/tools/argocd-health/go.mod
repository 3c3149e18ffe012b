module registry-sts.dev/tools/argocd-health

go 1.26.0

tool registry-sts.dev/tools/argocd-health

require github.com/yuin/gopher-lua v1.1.1
