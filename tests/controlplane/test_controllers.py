"""Checks kube-controller-manager. By hand: python3 -m unittest -v test_controllers

(in this folder; half a minute, and one more the first time, to build it).
"""

import json
import os
import signal
import sys
import tempfile
import time
import unittest
import unittest.mock
from collections.abc import Callable
from pathlib import Path
from typing import Any

import build
from test_up import Up, running

NAME = "kube-controller-manager"
NAMESPACES = "/api/v1/namespaces"
TEAM = f"{NAMESPACES}/team"
DEPLOYMENTS = "/apis/apps/v1/namespaces/team/deployments"


def until(what: str, look: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"it did not come to be that {what}")


def start(up: Up) -> int:
    [(name, pid)] = up.ask(controllers="start")["ok"]["pids"].items()
    assert name == NAME
    return pid


class Ending(unittest.TestCase):
    def setUp(self) -> None:
        self.up = Up()
        self.addCleanup(self.up.close)

    def gone(self, pid: int) -> bool:
        return not running(pid) and not os.path.exists(self.up.info["dir"])

    def test_end_of_stdin(self) -> None:
        pid = start(self.up)
        self.up.ask(pause="controllers")  # a paused process has to go too
        self.up.close()
        self.assertEqual(self.up.process.returncode, 0)
        until("nothing is left", lambda: self.gone(pid), 0.5)

    def test_kill_of_itself(self) -> None:
        pid = start(self.up)
        self.up.process.send_signal(signal.SIGKILL)
        until("nothing is left", lambda: self.gone(pid), 10)


class Assets(unittest.TestCase):
    def test_assets_of_others_without_it(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            for name in (build.ETCD, build.APISERVER):
                Path(directory, name).symlink_to(build.assets() / name)
            with unittest.mock.patch.dict(os.environ, KUBEBUILDER_ASSETS=directory):
                self.assertEqual(build.assets(), Path(directory).resolve())
                self.assertNotEqual(build.controller_manager().parent, build.assets())
                up = Up()
            self.addCleanup(up.close)
            program = Path(f"/proc/{start(up)}/exe").readlink()
            self.assertEqual((program.name, program.parent.parent), (NAME, build.STORE))


class Controllers(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.up = Up()
        cls.addClassCleanup(cls.up.close)
        cls.refused = cls.up.ask(pause="controllers")
        began = time.monotonic()
        cls.pid = start(cls.up)
        print(f"{NAME} ready in {time.monotonic() - began:.1f} s", file=sys.stderr)
        assert cls.kube("POST", NAMESPACES, body={"metadata": {"name": "team"}})[0] == 201

    @classmethod
    def kube(cls, method: str, path: str, **more: Any) -> tuple[int, Any]:
        reply = cls.up.ask(kube=method, path=path, **more)
        return reply["status"], reply["body"]

    def is_gone(self, path: str) -> bool:
        return self.kube("GET", path)[0] == 404

    def test_there_is_one(self) -> None:
        self.assertEqual(self.refused["error"]["code"], "NotStarted")
        # Asked at the same time, twice.
        for number in ("a", "b"):
            request = {"id": number, "controllers": "start"}
            self.up.process.stdin.write(json.dumps(request) + "\n")
        self.up.process.stdin.flush()
        replies = [json.loads(self.up.process.stdout.readline()) for _ in range(2)]
        self.assertEqual({reply["id"] for reply in replies}, {"a", "b"})
        self.assertEqual([reply["ok"]["pids"] for reply in replies], [{NAME: self.pid}] * 2)
        children = Path(f"/proc/{self.up.process.pid}/task").glob("*/children")
        pids = [pid for listed in children for pid in listed.read_text().split()]
        names = [Path(f"/proc/{pid}/exe").readlink().name for pid in pids]
        self.assertEqual(names.count(NAME), 1)

    def test_a_deleted_namespace_goes(self) -> None:
        space = f"{NAMESPACES}/going"
        self.kube("POST", NAMESPACES, body={"metadata": {"name": "going"}})
        self.kube("POST", f"{space}/configmaps", body={"metadata": {"name": "inside"}})
        self.kube("DELETE", space)
        until("the namespace is gone", lambda: self.is_gone(space))
        self.assertTrue(self.is_gone(f"{space}/configmaps/inside"))

    def test_a_deployment_gets_pods_that_stay_pending(self) -> None:
        labels = {"app": "quay"}
        template = {"metadata": {"labels": labels}}
        template["spec"] = {"containers": [{"name": "quay", "image": "quay"}]}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        body = {"metadata": {"name": "quay"}, "spec": spec}
        self.assertEqual(self.kube("POST", DEPLOYMENTS, body=body)[0], 201)
        [pod] = until("there is a pod", lambda: self.kube("GET", f"{TEAM}/pods")[1]["items"])
        self.assertEqual(pod["metadata"]["ownerReferences"][0]["kind"], "ReplicaSet")
        self.assertEqual(pod["status"]["phase"], "Pending")
        # Nothing runs it, so nothing has to be waited for.
        self.kube("DELETE", f"{DEPLOYMENTS}/quay")
        until("the pod is gone", lambda: not self.kube("GET", f"{TEAM}/pods")[1]["items"])

    def test_what_a_deleted_object_owned_is_collected_but_not_while_paused(self) -> None:
        maps = f"{TEAM}/configmaps"
        uid = self.kube("POST", maps, body={"metadata": {"name": "owner"}})[1]["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
        owned = {"metadata": {"name": "owned", "ownerReferences": [owner]}}
        self.kube("POST", maps, body=owned)
        self.up.ask(pause="controllers")
        self.kube("DELETE", f"{maps}/owner")
        time.sleep(0.5)
        self.assertFalse(self.is_gone(f"{maps}/owned"))
        self.up.ask(resume="controllers")
        until("it is collected", lambda: self.is_gone(f"{maps}/owned"))


if __name__ == "__main__":
    unittest.main()
