"""What goes with the manifests of the bundle: its image, the catalog that it is in, and the tests of operator-sdk."""

from typing import Any

PACKAGE = "registry-sts"
CHANNEL = "candidate"
BUNDLE_IMAGE = "quay.io/registry-sts/registry-sts-bundle"
SCORECARD_IMAGE = "quay.io/operator-framework/scorecard-test:v1.42.0"
SCORECARD_TESTS = {
    "basic": ["basic-check-spec"],
    "olm": [
        "olm-bundle-validation",
        "olm-crds-have-validation",
        "olm-crds-have-resources",
        "olm-spec-descriptors",
        "olm-status-descriptors",
    ],
}

Object = dict[str, Any]


def scorecard() -> Object:
    tests = [
        {
            "image": SCORECARD_IMAGE,
            "entrypoint": ["scorecard-test", name],
            "labels": {"suite": suite, "test": f"{name}-test"},
        }
        for suite, names in SCORECARD_TESTS.items()
        for name in names
    ]
    return {
        "apiVersion": "scorecard.operatorframework.io/v1alpha3",
        "kind": "Configuration",
        "metadata": {"name": "config"},
        "stages": [{"parallel": True, "tests": tests}],
    }


def dockerfile(labels: dict[str, str]) -> str:
    lines = [
        "# The bundle as an image: docker build -f bundle.Dockerfile -t IMAGE deploy/olm",
        "FROM scratch",
        "",
        *(f"LABEL {key}={value}" for key, value in labels.items()),
        "",
        "COPY manifests /manifests/",
        "COPY metadata /metadata/",
        "COPY tests/scorecard /tests/scorecard/",
    ]
    return "\n".join(lines) + "\n"


def catalog(csv: Object) -> Object:
    """The basic template of a file-based catalog with this package alone."""
    name = csv["metadata"]["name"]
    [icon] = csv["spec"]["icon"]
    return {
        "schema": "olm.template.basic",
        "entries": [
            {
                "schema": "olm.package",
                "name": PACKAGE,
                "defaultChannel": CHANNEL,
                "description": csv["metadata"]["annotations"]["description"],
                "icon": icon,
            },
            {
                "schema": "olm.channel",
                "package": PACKAGE,
                "name": CHANNEL,
                "entries": [{"name": name}],
            },
            {"schema": "olm.bundle", "image": f"{BUNDLE_IMAGE}:v{csv['spec']['version']}"},
        ],
    }
