"""Draws docs/pictures/dashboard.png: the dashboard, with the metrics of a real run.

    python3 deploy/monitoring/picture.py run DATA.json     a run of three minutes, its answers into DATA.json
    python3 deploy/monitoring/picture.py draw DATA.json    the picture, from these

This is not Grafana: titles, places, units and expressions are those of dashboard.json, every expression is evaluated
by Prometheus over its HTTP API, and matplotlib draws the answers in the dashboard's grid. The run is real: etcd,
kube-apiserver and an AWS peer of tests/controlplane, and two processes of the operator, scraped each second by a
Prometheus that has the alerts of rules.yaml loaded.

It needs matplotlib and PyYAML, target/debug/registry-sts (`cargo build`), and for `run` a Prometheus on PATH, or
named by PROMETHEUS. This builds it in the version of promtool, in a copy, because it needs more modules than that:

    cp -r tests/tools/promtool /tmp/prometheus && cd /tmp/prometheus
    go build -mod=mod -tags remove_all_sd github.com/prometheus/prometheus/cmd/prometheus
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DASHBOARD = HERE / "dashboard.json"
PICTURE = HERE.parent.parent / "docs" / "pictures" / "dashboard.png"


def panels() -> list[dict]:
    return json.loads(DASHBOARD.read_text())["panels"]


def main(command: str, data: Path) -> None:
    match command:
        case "run":
            from scenario import run

            data.write_text(json.dumps(run(panels()), indent=1))
        case "draw":
            from drawing import draw

            PICTURE.parent.mkdir(exist_ok=True)
            draw(panels(), json.loads(data.read_text()), PICTURE)
            print(PICTURE)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
