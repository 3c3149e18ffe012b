"""Prints what OLM makes of the bundle, for an operator of all namespaces.

    unpack.py NAMESPACE

These are the objects that OLM v1 applies for a bundle of format registry+v1 (its package rukpak/render/registryv1), but for
the namespace itself. OLM v0 makes the same of it, with owners and labels of its own, and the Role for the Lease also in
the operator's namespace. One thing is not as it is there: the hash at the end of the names of ClusterRoles.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import environment

if __name__ == "__main__":
    environment.enter()

# Only now: it is in .venv.
import yaml  # noqa: E402

HERE = Path(__file__).resolve().parent
RBAC = "rbac.authorization.k8s.io"
# Of the kinds that a bundle may carry, those that live in a namespace.
NAMESPACED = {
    "ConfigMap",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PrometheusRule",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
}

Object = dict[str, Any]


def unpacked(bundle: Path, namespace: str) -> list[Object]:
    manifests = [yaml.safe_load(path.read_text()) for path in sorted(bundle.glob("manifests/*"))]
    [csv] = [each for each in manifests if each["kind"] == "ClusterServiceVersion"]
    install = csv["spec"]["install"]["spec"]
    rights = install.get("clusterPermissions", [])
    # In mode AllNamespaces what was meant for one namespace is meant for all, and namespaces can be seen, too.
    seen = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}
    for permission in install.get("permissions", []):
        rights = [*rights, permission | {"rules": [*permission["rules"], seen]}]

    made = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        for name in sorted({permission["serviceAccountName"] for permission in rights})
    ]
    for permission in rights:
        made += cluster_role(csv["metadata"]["name"], permission, namespace)
    made += [each for each in manifests if each is not csv]
    made += [deployment(csv, each) for each in install["deployments"]]
    for each in made:
        if each["kind"] in NAMESPACED | {"Deployment"}:
            each["metadata"] = each["metadata"] | {"namespace": namespace}
    return made


def cluster_role(csv: str, permission: Object, namespace: str) -> list[Object]:
    account = permission["serviceAccountName"]
    digest = hashlib.sha256(json.dumps(permission, sort_keys=True).encode()).hexdigest()[:20]
    name = f"{csv}-{account}-{digest}"
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": permission["rules"],
    }
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }
    return [role, binding]


def deployment(csv: Object, of: Object) -> Object:
    template = of["spec"]["template"]
    # The annotations of the ClusterServiceVersion are also those of the pods; targetNamespaces is empty: all.
    annotations = csv["metadata"]["annotations"] | template["metadata"].get("annotations", {})
    annotations["olm.targetNamespaces"] = ""
    template = template | {"metadata": template["metadata"] | {"annotations": annotations}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": of["name"], "labels": of.get("label", {})},
        "spec": of["spec"] | {"template": template, "revisionHistoryLimit": 1},
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(64)
    yaml.safe_dump_all(unpacked(HERE, sys.argv[1]), sys.stdout, sort_keys=False)
