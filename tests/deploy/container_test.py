"""The image is built by a real engine, and the compose file brings cuecard, the simulator and Prometheus up: a card is seen.

Takes the tarball that `make package` left in dist/. Grafana and the databases of compose's profiles are not started: their images
can't be had without an image registry. Prints the figures that docs/deployment.md has.
"""

import datetime
import json
import os
import pathlib
import re
import shutil
import socket
import time
import tomllib
import unittest
import urllib.error
import urllib.parse
import urllib.request

import yaml
from engine import Engine, until

ROOT = pathlib.Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/compose.yaml"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
IMAGE = f"cuecard:{VERSION}"
PROJECT = "cuecard-test"
OPERATOR_KEY = (ROOT / "deploy/compose/operator.key").read_text().strip()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


PORTS = {name: free_port() for name in ["CUECARD_API_PORT", "CUECARD_ADMIN_PORT", "SIMULATOR_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT"]}


def get(port, path, key=None):
    """The status of an answer and its text; nothing where nobody answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{PORTS[port]}{path}")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()
    except OSError:
        return None


def queried(expression):
    """The value of a query of Prometheus; nothing where there is no series."""
    answer = get("PROMETHEUS_PORT", "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
    result = json.loads(answer[1])["data"]["result"] if answer and answer[0] == 200 else []
    return float(result[0]["value"][1]) if result else None


def said(text):
    print(f"\n{text}", flush=True)


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("dockerd"), "needs root and dockerd")
class Container(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = Engine()
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.wait()
        cls.engine.import_base()
        package = f"PACKAGE=cuecard-{VERSION}-linux-x86_64.tar.zst"
        cls.engine.build(IMAGE, ROOT / "deploy/Dockerfile", ROOT / "dist", "--build-arg", package)
        cls.engine.build(SERVICES["prometheus"]["image"], ROOT / "tests/deploy/prometheus.Dockerfile", ROOT / "tests/deploy")
        began = time.monotonic()
        cls.addClassCleanup(cls.compose, "down", "--volumes", "--timeout", "20")
        cls.compose("up", "--detach", "cuecard", "simulator", "prometheus")
        until("a card was delivered", cls.delivered)
        said(f"from `up` to the first card: {time.monotonic() - began:.1f} s")

    @classmethod
    def compose(cls, *arguments):
        ports = {name: str(port) for name, port in PORTS.items()}
        return cls.engine.run("docker-compose", "--file", COMPOSE, "--project-name", PROJECT, *arguments, **ports)

    @classmethod
    def container(cls, service):
        return cls.compose("ps", "--quiet", service).stdout.strip()

    @classmethod
    def delivered(cls):
        answer = get("CUECARD_ADMIN_PORT", "/metrics", OPERATOR_KEY)
        count = re.search(r'^cuecard_cards_total\{[^}]*outcome="delivered"[^}]*\} (\d+)', answer[1] if answer else "", re.MULTILINE)
        return int(count[1]) if count else 0

    def test_the_agent_of_the_simulator_sees_a_card(self):
        pushed = until("a push", lambda: [push for push in self.pushes() if push["verdict"]["kind"] == "accepted"])
        self.assertTrue(pushed[0]["body"]["insights"][0]["title"])

    def pushes(self):
        answer = get("SIMULATOR_PORT", "/_sim/received?route=insights")
        self.assertEqual(answer[0], 200, answer)
        return json.loads(answer[1])

    def test_prometheus_scrapes_it_with_its_key_and_by_its_name(self):
        until("Prometheus has the cards", lambda: queried('sum(cuecard_cards_total{outcome="delivered"}) > 0'))
        self.assertEqual(queried('up{job="cuecard"}'), 1.0)

    def test_prometheus_has_the_rules(self):
        written = [yaml.safe_load(file.read_text()) for file in (ROOT / "grafana/rules").glob("*.yml")]
        names = {group["name"] for file in written for group in file["groups"]}
        taken = json.loads(get("PROMETHEUS_PORT", "/api/v1/rules")[1])["data"]["groups"]
        self.assertEqual({group["name"] for group in taken}, names)

    def test_nobody_without_a_key_reads_the_metrics(self):
        self.assertEqual(get("CUECARD_ADMIN_PORT", "/metrics")[0], 401)
        self.assertEqual(get("CUECARD_ADMIN_PORT", "/readyz")[0], 200)

    def test_the_engine_finds_it_healthy(self):
        until("healthy", lambda: self.engine.inspect(self.container("cuecard"))["State"]["Health"]["Status"] == "healthy")

    def test_it_is_not_root_and_writes_nothing_but_its_data(self):
        inside = ["docker", "exec", self.container("cuecard"), "sh", "-c"]
        self.assertEqual(self.engine.run(*inside, "id -u; id -g").stdout.split(), ["65532", "65532"])
        for place in ["/opt/cuecard", "/etc", "/usr", "/root", "/home", "/var/log"]:
            refused = self.engine.run(*inside, f"touch {place}/written", check=False)
            self.assertNotEqual(refused.returncode, 0, place)
        self.engine.run(*inside, "touch /var/lib/cuecard/written && rm /var/lib/cuecard/written")
        capabilities = self.engine.run(*inside, "grep CapEff /proc/1/status").stdout.split()
        self.assertEqual(capabilities, ["CapEff:", "0" * 16])

    def test_a_container_alone_runs_without_settings_or_network(self):
        alone = ["docker", "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", IMAGE]
        self.assertEqual(self.engine.run(*alone, "--version").stdout, f"cuecard {VERSION}\n")
        asked = self.engine.run(*alone, "ask", "can I take my router when I move", "--articles", "/opt/cuecard/demo/articles.jsonl")
        self.assertIn("router", asked.stdout)

    def test_it_is_ready_again_after_a_restart_that_ends_it_in_order(self):
        name = self.container("cuecard")
        self.compose("stop", "--timeout", "20", "cuecard")
        self.assertEqual(self.engine.inspect(name)["State"]["ExitCode"], 0)
        self.compose("start", "cuecard")
        ready = until("ready", lambda: (get("CUECARD_ADMIN_PORT", "/readyz") or (0,))[0] == 200 and time.time())
        started = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", self.engine.inspect(name)["State"]["StartedAt"]))
        said(f"from the container's start to ready: {ready - started.timestamp():.1f} s")

    def test_the_image_is_as_small_as_its_parts(self):
        size = self.engine.inspect(IMAGE)["Size"]
        base = self.engine.inspect("debian:bookworm-slim")["Size"]
        said(f"image: {size / 1e6:.0f} MB, of which the base is {base / 1e6:.0f} MB")
        layers = self.engine.run("docker", "history", "--format", "{{.Size}} {{.CreatedBy}}", "--no-trunc", IMAGE).stdout
        self.assertNotIn(".tar.zst", layers, "the tarball is in no layer")
        tools = self.engine.run("docker", "run", "--rm", "--entrypoint", "sh", IMAGE, "-c", "command -v zstd; ls -d /packages", check=False)
        self.assertEqual(tools.stdout, "", "the first stage stays behind")

    def test_systemd_runs_the_unit_as_it_is(self):
        self.engine.build("systemd", ROOT / "tests/deploy/systemd.Dockerfile", ROOT / "deploy", "--build-arg", f"IMAGE={IMAGE}")
        # What systemd needs to be one in a container; the unit gives all of it up again.
        host = ["--cap-add=SYS_ADMIN", "--cap-add=SETPCAP", "--cap-add=DAC_READ_SEARCH", "--security-opt=seccomp=unconfined"]
        places = [f"--tmpfs={place}" for place in ["/run", "/run/lock", "/sys/fs/cgroup"]]
        name = self.engine.run("docker", "run", "--detach", "--cgroupns=private", *host, *places, "systemd").stdout.strip()
        self.addCleanup(self.engine.run, "docker", "rm", "--force", "--volumes", name)

        def inside(*command, check=True):
            return self.engine.run("docker", "exec", name, *command, check=check).stdout.strip()

        def property_of(what):
            return inside("systemctl", "show", "--value", "--property", what, "cuecard")

        def is_ready():
            return inside("/opt/cuecard/bin/cuecard", "health", check=False) == "ready"

        until("systemd is up", lambda: inside("systemctl", "is-system-running", check=False) in ["running", "degraded"])
        articles = "/opt/cuecard/demo/articles.jsonl"
        self.engine.run("docker", "exec", "--detach", name, "/opt/cuecard/bin/cxone-sim", "serve", f"--articles={articles}")
        inside("systemctl", "start", "cuecard")
        until("ready", is_ready)
        first = property_of("MainPID")
        status = dict(re.findall(r"^(\w+):\t(\S+)", inside("cat", f"/proc/{first}/status"), re.MULTILINE))
        self.assertNotEqual(status["Uid"], "0")
        self.assertEqual((status["CapEff"], status["NoNewPrivs"], status["Seccomp"]), ("0" * 16, "1", "2"))

        # Where the tools look is where the service keeps it: both read the same file.
        stats = inside("/opt/cuecard/bin/cuecard", "ledger", "stats", "--config", "/etc/cuecard/cuecard.toml")
        self.assertIn("/var/lib/cuecard/ledger.db", stats)
        inside("systemctl", "reload", "cuecard")
        until("it has read its settings again", lambda: "SIGHUP" in inside("journalctl", "--unit=cuecard"))
        self.assertEqual(property_of("MainPID"), first)
        inside("sh", "-c", f"kill -KILL {first}")
        until("systemd starts it again", lambda: property_of("MainPID") not in ["0", first])
        until("ready again", is_ready)
        inside("systemctl", "stop", "cuecard")
        self.assertEqual((property_of("ActiveState"), property_of("Result")), ("inactive", "success"))


if __name__ == "__main__":
    unittest.main()
