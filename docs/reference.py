"""The reference of the CustomResourceDefinitions as a page. docs/generate.py writes it."""

import json
import re
from typing import Any

# The fields of a condition are Kubernetes' own.
NOT_OURS = ".status.conditions[]"

# What is no field of the resource, and yet part of its interface.
MARKS = """\
## Annotations, labels, finalizers and tags

| on | name | who sets it | |
|---|---|---|---|
| QuayStorage | annotation `reconcile.fluxcd.io/requestedAt` | people, Flux | look at everything anew; echoed in `status.lastHandledReconcileAt` |
| QuayStorage | annotation `registry-sts.dev/proveAt` | people | prove everything anew; echoed in `status.lastHandledProveAt` |
| QuayStorage | annotation `registry-sts.dev/approve` | people | with `apply: Approve`: the digest of the change that may be written |
| QuayStorage | finalizer `registry-sts.dev/restore` | the operator | with `deletionPolicy: Restore`, from before the first write on |
| StorageIdentity | annotation `reconcile.fluxcd.io/requestedAt` | people, Flux | look at everything anew; echoed in `status.lastHandledReconcileAt` |
| StorageIdentity | annotation `registry-sts.dev/rotate` | people | a time: replace the access key if it is of before then; echoed in `status.lastHandledRotateAt` |
| StorageIdentity | annotation `registry-sts.dev/retire-key` | people | the last four characters of an old key that nobody uses any more: it is retired without a sign of that |
| StorageIdentity | finalizer `registry-sts.dev/identity` | the operator | with `deletionPolicy: Delete`, from before anything is made |
| bundle | annotation `registry-sts.dev/in-place` | people | `true`: write although another tool keeps this Secret |
| output | label `registry-sts.dev/output` | the operator | whose output it is, as a hash |
| output | annotation `registry-sts.dev/output-of` | the operator | the same for people: namespace and name of the QuayStorage |
| output | annotation `registry-sts.dev/locations` | the operator | the locations that were written: they stay |
| backup | label `registry-sts.dev/backup` | the operator | whose backup it is, as a hash |
| backup | annotation `registry-sts.dev/backup-of` | the operator | the same for people |
| access key | annotation `registry-sts.dev/storage-identity` | the operator | the StorageIdentity whose access key the Secret holds |
| service account | annotation `eks.amazonaws.com/role-arn` | its owner; the operator with `annotateServiceAccount` | the role that its pods get |
| workload of `restart` | annotation `registry-sts.dev/rolled-for` of the pod template | the operator | the write that it was rolled for |
| IAM user, IAM role | tags `registry-sts.dev/cluster-id`, `registry-sts.dev/namespace`, `registry-sts.dev/name` | the operator | whose it is: one with other values is left alone |
| IAM user, IAM role | tag `registry-sts.dev/uid` | the operator | the uid of the StorageIdentity: it informs, and decides nothing |
| IAM user | tag `registry-sts.dev/key-<id>` | the operator | what the access key of that id is for, and since when |
| IAM user | tag `registry-sts.dev/making-key` | the operator | that an access key is about to be made, beside which others |
"""


def page(crds: list[dict[str, Any]]) -> str:
    kinds = [crd["spec"]["names"]["kind"] for crd in crds]
    lines = [
        "# The API",
        "",
        "Made from [crds](../crds) by `docs/generate.py`: do not edit. `kubectl explain` tells the same, path by path.",
        "",
        "| | |",
        "|---|---|",
        *(f"| [{kind}](#{anchor(kind)}) | {described(crd)} |" for kind, crd in zip(kinds, crds, strict=True)),
        "",
    ]
    for crd in crds:
        lines += resource(crd)
    return "\n".join(lines) + "\n" + MARKS


def described(crd: dict[str, Any]) -> str:
    [version] = crd["spec"]["versions"]
    return prose(version["schema"]["openAPIV3Schema"]["description"])


def resource(crd: dict[str, Any]) -> list[str]:
    """One kind: how it is called, what `kubectl get` shows, and its fields."""
    spec = crd["spec"]
    [version] = spec["versions"]
    names = spec["names"]
    called = ", ".join(f"`{name}`" for name in [names["plural"], *names.get("shortNames", [])])
    places = {
        "Namespaced": "namespaced: every reference stays in its namespace",
        "Cluster": "the cluster's: no namespace can say anything of it",
    }
    columns, wide = shown(version), shown(version, wide=True)
    lines = [
        f"## {names['kind']}",
        "",
        "| | |",
        "|---|---|",
        f"| apiVersion | `{spec['group']}/{version['name']}` |",
        f"| kind | `{names['kind']}`, for kubectl also {called} |",
        f"| scope | {places[spec['scope']]} |",
        "",
        f"`kubectl get` shows {columns}" + (f"; with `-o wide` also {wide}" if wide else "") + ".",
        "",
    ]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    for field in ("spec", "status"):
        if field in schema:
            lines += section(f"{names['singular']}.{field}", schema[field])
    return lines


def shown(version: dict[str, Any], wide: bool = False) -> str:
    columns = version["additionalPrinterColumns"]
    return ", ".join(
        f"{column['name']} (`{column['jsonPath']}`)"
        for column in columns
        if bool(column.get("priority")) == wide
    )


def section(path: str, schema: dict[str, Any]) -> list[str]:
    """The fields of an object, then those of the objects in it."""
    lines = [f"### {path}", "", prose(schema.get("description", "")), ""]
    lines += ["| field | type | default | |", "|---|---|---|---|"]
    required = schema.get("required", [])
    deeper = []
    for field, of in sorted(schema["properties"].items()):
        inner = of["items"] if of["type"] == "array" else of
        below = f"{path}.{field}" + ("[]" if of["type"] == "array" else "")
        link = ""
        if below.endswith(NOT_OURS):
            link = " [Every reason](troubleshooting.md#contents)."
        elif "properties" in inner:
            deeper.append((below, inner))
            link = f" [Its fields](#{anchor(below)})."
        default = "**required**" if field in required else shown_default(of)
        lines.append(f"| `{field}` | {kind(of)} | {default} | {prose(of.get('description', ''))}{link}{limits(of)} |")
    rules = [rule["message"] for rule in schema.get("x-kubernetes-validations", [])]
    if rules:
        lines += ["", "Refused otherwise:", "", *(f"- {escape(rule)}" for rule in rules)]
    lines.append("")
    for below, inner in deeper:
        lines += section(below, inner)
    return lines


def anchor(heading: str) -> str:
    """What a heading is called in a link, as GitHub makes it."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {kind(schema['items'])}s"
    if schema.get("format") == "date-time":
        return "time"
    return schema["type"]


def shown_default(schema: dict[str, Any]) -> str:
    if "default" not in schema or schema["default"] in ("", []):
        return ""
    value = schema["default"]
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def limits(schema: dict[str, Any]) -> str:
    """What a value has to be, as far as the description does not say it."""
    says = []
    if "minItems" in schema or "maxItems" in schema:
        says.append(f"{schema.get('minItems', 0)} to {schema['maxItems']} of them")
    if "x-kubernetes-list-map-keys" in schema:
        says.append("told apart by " + " and ".join(f"`{key}`" for key in schema["x-kubernetes-list-map-keys"]))
    if "minimum" in schema and "maximum" in schema:
        says.append(f"{schema['minimum']:g} to {schema['maximum']:g}")
    elif "maxLength" in schema:
        least = f"{schema['minLength']} to " if "minLength" in schema else "at most "
        says.append(f"{least}{schema['maxLength']} characters")
    text = f" ({'; '.join(says)})" if says else ""
    for rule in schema.get("x-kubernetes-validations", []) if schema["type"] != "object" else []:
        text += f" *Refused otherwise:* {escape(rule['message'])}."
    return text


def prose(text: str) -> str:
    """A description on one line."""
    return escape(" ".join(text.split()))


def escape(text: str) -> str:
    """Text in a cell: what stands in backquotes is code already, and `<…>` elsewhere would be a tag."""
    pieces = text.split("`")
    for index in range(0, len(pieces), 2):
        pieces[index] = pieces[index].replace("<", "&lt;").replace(">", "&gt;")
    return "`".join(pieces).replace("|", "\\|")
