"""Writes the OLM bundle from deploy/default, deploy/overlays/identities and the files beside this one.

    generate.py            writes manifests/, metadata/, tests/, bundle.Dockerfile, catalog/
    generate.py --check    only says what is stale; exit code 1 if something is

Of the Deployment, the rights and the resource definitions nothing is said here: they are what kustomize makes of
deploy/default, and what a Subscription's variables need to switch identities on, of deploy/overlays/identities.
"""

import base64
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import environment

if __name__ == "__main__":
    environment.enter()

# Only now: it is in .venv.
import yaml  # noqa: E402
from around import CHANNEL, PACKAGE, Object, catalog, dockerfile, scorecard  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = environment.ROOT

# When each version's bundle was made, for annotation createdAt.
CREATED = {"0.1.0": "2026-11-23T00:00:00Z"}

# Where admission policies are served (Kubernetes 1.30).
OPENSHIFT = "v4.17"

# What of deploy/default becomes part of the ClusterServiceVersion, or is OLM's own business; and what goes into the bundle as
# it is. Anything else has to be in policies/.
IN_CSV = {"Deployment", "ServiceAccount", "ClusterRoleBinding", "Role", "RoleBinding"}
PLAIN = {"ClusterRole", "Service", "PodDisruptionBudget", "CustomResourceDefinition"}
NOT_CARRIED = {"Namespace", "NetworkPolicy"}
NOT_CARRIED |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def generated() -> dict[str, str]:
    """Every file of the bundle, by its path below this folder."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    if version not in CREATED:
        raise SystemExit(f"generate.py: CREATED does not say when {version} was made")
    default = kustomized(ROOT / "deploy" / "default")
    for each in default:
        if each["kind"] not in IN_CSV | PLAIN | NOT_CARRIED:
            raise SystemExit(f"generate.py: it is not known what becomes of a {each['kind']}")
    labels = {
        "operators.operatorframework.io.bundle.mediatype.v1": "registry+v1",
        "operators.operatorframework.io.bundle.manifests.v1": "manifests/",
        "operators.operatorframework.io.bundle.metadata.v1": "metadata/",
        "operators.operatorframework.io.bundle.package.v1": PACKAGE,
        "operators.operatorframework.io.bundle.channels.v1": CHANNEL,
        "operators.operatorframework.io.bundle.channel.default.v1": CHANNEL,
        "operators.operatorframework.io.test.mediatype.v1": "scorecard+v1",
        "operators.operatorframework.io.test.config.v1": "tests/scorecard/",
        "com.redhat.openshift.versions": OPENSHIFT,
    }
    identities = kustomized(ROOT / "deploy" / "overlays" / "identities")
    csv = service_version(version, default, identities)
    files = {
        f"manifests/{PACKAGE}.clusterserviceversion.yaml": dumped(csv),
        "metadata/annotations.yaml": dumped({"annotations": labels}),
        "tests/scorecard/config.yaml": dumped(scorecard()),
        "bundle.Dockerfile": dockerfile(labels),
        "catalog/template.yaml": dumped(catalog(csv)),
    }
    in_csv = operator_roles(identities)
    for each in default:
        if each["kind"] in PLAIN and each not in in_csv:
            files[f"manifests/{file_name(each)}"] = dumped(without_namespace(each))
    return files


def kustomized(folder: Path) -> list[Object]:
    build = [sys.executable, str(ROOT / "tests" / "tools" / "build.py"), "kustomize"]
    kustomize = subprocess.run(build, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    made = subprocess.run([kustomize, "build", folder], check=True, stdout=subprocess.PIPE).stdout
    return list(yaml.safe_load_all(made))


def service_version(version: str, default: list[Object], identities: list[Object]) -> Object:
    """The ClusterServiceVersion: csv.yaml, and what deploy/default and deploy/overlays/identities say."""
    said = yaml.safe_load((HERE / "csv.yaml").read_text())
    deployment = with_volumes(
        only(default, "Deployment", PACKAGE), only(identities, "Deployment", PACKAGE)
    )
    pod = deployment["spec"]["template"]["spec"]
    image = pod["containers"][0]["image"]
    examples = list(yaml.safe_load_all((HERE / "examples.yaml").read_text()))
    namespace = only(default, "Namespace", deployment["metadata"]["namespace"])
    annotations = said["metadata"]["annotations"] | {
        "alm-examples": json.dumps(examples, indent=2),
        "containerImage": image,
        "createdAt": CREATED[version],
        "operatorframework.io/suggested-namespace-template": json.dumps(namespace),
    }
    spec: Object = said["spec"]
    owned = spec["customresourcedefinitions"]["owned"]
    definitions = [each for each in default if each["kind"] == "CustomResourceDefinition"]
    if {each["name"] for each in owned} != {each["metadata"]["name"] for each in definitions}:
        raise SystemExit("generate.py: csv.yaml owns other definitions than there are")
    for each in owned:
        each |= of_definition(only(definitions, "CustomResourceDefinition", each["name"]))
    account = pod["serviceAccountName"]
    rights = [rule for role in operator_roles(identities) for rule in role["rules"]]
    own = [
        rule
        for each in identities
        if each["kind"] == "Role"
        for rule in for_all_namespaces(each["rules"])
    ]
    spec |= {
        "version": version,
        "description": (HERE / "description.md").read_text(),
        "icon": [
            {
                "base64data": base64.b64encode((HERE / "icon.svg").read_bytes()).decode(),
                "mediatype": "image/svg+xml",
            }
        ],
        "relatedImages": [{"name": PACKAGE, "image": image}],
        "install": {
            "strategy": "deployment",
            "spec": {
                "clusterPermissions": [{"serviceAccountName": account, "rules": rights}],
                "permissions": [{"serviceAccountName": account, "rules": own}],
                "deployments": [
                    {
                        "name": deployment["metadata"]["name"],
                        "label": deployment["metadata"]["labels"],
                        "spec": deployment["spec"],
                    }
                ],
            },
        },
    }
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": f"{PACKAGE}.v{version}",
            "annotations": dict(sorted(annotations.items())),
            "labels": said["metadata"]["labels"],
        },
        "spec": spec,
    }


def of_definition(crd: Object) -> Object:
    """What a definition says of a resource that the ClusterServiceVersion owns."""
    [served] = crd["spec"]["versions"]
    return {
        "kind": crd["spec"]["names"]["kind"],
        "version": served["name"],
        "description": served["schema"]["openAPIV3Schema"]["description"],
    }


def with_volumes(deployment: Object, of: Object) -> Object:
    """A Deployment with the volumes of another one, which do nothing until a Subscription says that they are to be used."""
    ours, theirs = (each["spec"]["template"]["spec"] for each in (deployment, of))
    [container], [mounting] = ours["containers"], theirs["containers"]
    pod = ours | {
        "containers": [container | {"volumeMounts": mounting["volumeMounts"]}],
        "volumes": theirs["volumes"],
    }
    template = deployment["spec"]["template"] | {"spec": pod}
    return deployment | {"spec": deployment["spec"] | {"template": template}}


def for_all_namespaces(rules: list[Object]) -> list[Object]:
    """The rules of a Role of the operator's namespace, where OLM makes them those of a ClusterRole, as it does in mode
    AllNamespaces.

    Then they are of the one object that is named as the operator is, wherever it is, and not of everybody's. `create` cannot be
    held to a name.
    """
    held = []
    for rule in rules:
        if "create" in rule["verbs"] and "resourceNames" not in rule:
            held.append(rule | {"verbs": ["create"]})
            rest = [verb for verb in rule["verbs"] if verb != "create"]
            if rest:
                held.append(rule | {"resourceNames": [PACKAGE], "verbs": rest})
        else:
            held.append(rule)
    return held


def operator_roles(objects: list[Object]) -> list[Object]:
    """The ClusterRoles that are bound in the whole cluster."""
    bindings = [each for each in objects if each["kind"] == "ClusterRoleBinding"]
    return [only(objects, "ClusterRole", each["roleRef"]["name"]) for each in bindings]


def only(objects: list[Object], kind: str, name: str) -> Object:
    [found] = [
        each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name
    ]
    return found


def without_namespace(of: Object) -> Object:
    metadata = {key: value for key, value in of["metadata"].items() if key != "namespace"}
    return of | {"metadata": metadata}


def file_name(of: Object) -> str:
    """As operator-sdk names the files of a bundle."""
    if of["kind"] == "CustomResourceDefinition":
        return f"{of['spec']['group']}_{of['spec']['names']['plural']}.yaml"
    group_and_version = of["apiVersion"].replace("/", "_")
    return f"{of['metadata']['name']}_{group_and_version}_{of['kind'].lower()}.yaml"


class Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, and no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _text)


def dumped(value: Object) -> str:
    text = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"# Generated by deploy/olm/generate.py.\n{text}"


def main(arguments: list[str]) -> int:
    files = generated()
    written = {"manifests": "*", "metadata": "*", "tests/scorecard": "*", "catalog": "*.yaml"}
    there = {
        str(path.relative_to(HERE))
        for folder, pattern in written.items()
        for path in (HERE / folder).glob(pattern)
    } | {"bundle.Dockerfile"}
    stale = sorted(
        name
        for name in files.keys() | there
        if name not in files
        or not (HERE / name).is_file()
        or (HERE / name).read_text() != files[name]
    )
    if arguments == ["--check"]:
        for name in stale:
            print(f"deploy/olm/{name} is stale: run deploy/olm/generate.py", file=sys.stderr)
        return 1 if stale else 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 64
    for name in stale:
        if name in files:
            (HERE / name).parent.mkdir(parents=True, exist_ok=True)
            (HERE / name).write_text(files[name])
        else:
            (HERE / name).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
