"""What deploy/ says is well formed and agrees with itself: no container, no cluster and no package is needed.

Kubernetes manifests are held against Kubernetes' schemas and, for PodMonitor and PrometheusRule, against the operator's types; the
dashboards against Grafana's; the Dockerfile passes hadolint; the systemd unit passes systemd's own checks; docker-compose reads
each profile. Whether the settings that stand here can be used is tested where they are read, in src/settings/tests/deployed.rs.
"""

import hashlib
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
import urllib.parse

import kubernetes_validate
import yaml
from cloudcoil.models.prometheus_operator import v1 as prometheus_operator
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
# The oldest that the manifests are meant for, and the newest that the schemas know.
KUBERNETES_VERSIONS = ["1.31", "1.37"]
# Of the Prometheus operator.
OPERATORS = {"PodMonitor": prometheus_operator.PodMonitor, "PrometheusRule": prometheus_operator.PrometheusRule}
# systemd's own measure, from 0 to 10; below 2 it says that a unit is well protected.
EXPOSURE = 15


# What Grafana's types don't have: the number in a database, which a file has none of, and a query that its editor shows.
NOT_GRAFANAS = {"/id", "/templating/list/definition"}


def lost(written, kept, place=""):
    """Where something stands in `written` that `kept` does not have, or has otherwise."""
    if isinstance(written, dict) and isinstance(kept, dict):
        return {found for key in written for found in lost(written[key], kept.get(key), f"{place}/{key}") if key in kept} | {
            f"{place}/{key}" for key in written if key not in kept
        }
    if isinstance(written, list) and isinstance(kept, list) and len(written) == len(kept):
        return {found for pair in zip(written, kept) for found in lost(*pair, place)}
    return set() if written == kept else {place}


def rendered():
    """What `kubectl apply --kustomize` would send, and the pattern of the Secret."""
    kustomized = subprocess.run(["kubectl", "kustomize", KUBERNETES], check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(kustomized + "\n---\n" + (KUBERNETES / "secret.yaml").read_text()))


def of_kind(documents, kind):
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.documents = rendered()
        cls.deployment = of_kind(cls.documents, "Deployment")
        cls.pod = cls.deployment["spec"]["template"]
        (cls.container,) = cls.pod["spec"]["containers"]

    def test_kubernetes_takes_each(self):
        own = [document for document in self.documents if document["kind"] not in OPERATORS]
        kinds = {document["kind"] for document in own}
        expected = {"Deployment", "Service", "PersistentVolumeClaim", "NetworkPolicy", "PodDisruptionBudget", "ConfigMap", "Secret"}
        self.assertEqual(kinds, expected)
        for version in KUBERNETES_VERSIONS:
            for document in own:
                with self.subTest(version=version, kind=document["kind"]):
                    kubernetes_validate.validate(document, version, strict=True)

    def test_the_prometheus_operator_takes_what_is_meant_for_it(self):
        for kind, model in OPERATORS.items():
            with self.subTest(kind):
                written = of_kind(self.documents, kind)
                read = model.model_validate(written)
                # The types pass over what they do not know.
                again = read.model_dump(by_alias=True, exclude_none=True, mode="json")
                self.assertEqual(again, written)

    def test_the_rules_are_those_of_grafana(self):
        files = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "grafana/rules").glob("*.yml"))]
        groups = of_kind(self.documents, "PrometheusRule")["spec"]["groups"]
        self.assertEqual(groups, [group for file in files for group in file["groups"]])
        subprocess.run([ROOT / "scripts/prometheus_rule", "--check"], check=True)

    def test_the_job_is_the_one_that_rules_and_dashboards_ask_for(self):
        label = of_kind(self.documents, "PodMonitor")["spec"]["jobLabel"]
        job = self.pod["metadata"]["labels"][label]
        files = [*(ROOT / "grafana/rules").glob("*.yml"), *(ROOT / "grafana/dashboards").glob("*.json")]
        asked = {name for file in files for name in re.findall(r'job=\\?"(\w+)\\?"', file.read_text())}
        self.assertEqual(asked, {job})

    def test_a_schema_turns_away_what_it_does_not_know(self):
        wrong = of_kind(rendered(), "Deployment")
        wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, KUBERNETES_VERSIONS[-1], strict=True)

    def test_all_select_the_pod_of_the_deployment(self):
        labels = self.pod["metadata"]["labels"]
        paths = {
            "Deployment": ["selector", "matchLabels"],
            "Service": ["selector"],
            "NetworkPolicy": ["podSelector", "matchLabels"],
            "PodDisruptionBudget": ["selector", "matchLabels"],
            "PodMonitor": ["selector", "matchLabels"],
        }
        for kind, path in paths.items():
            selected = of_kind(self.documents, kind)["spec"]
            for step in path:
                selected = selected[step]
            self.assertEqual(selected, labels, kind)

    def test_ports_are_those_of_the_container(self):
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        settings = tomllib.loads((KUBERNETES / "cuecard.toml").read_text())
        self.assertEqual(ports, {name: int(settings[name]["addr"].rpartition(":")[2]) for name in ["api", "admin"]})
        probes = [self.container[probe]["httpGet"]["port"] for probe in ["livenessProbe", "readinessProbe"]]
        service = [port["targetPort"] for port in of_kind(self.documents, "Service")["spec"]["ports"]]
        monitor = [end["port"] for end in of_kind(self.documents, "PodMonitor")["spec"]["podMetricsEndpoints"]]
        policy = [rule["ports"][0]["port"] for rule in of_kind(self.documents, "NetworkPolicy")["spec"]["ingress"]]
        self.assertLessEqual({*probes, *service, *monitor, *policy}, set(ports))

    def test_every_secret_that_is_asked_for_is_in_the_pattern(self):
        secret = set(of_kind(self.documents, "Secret")["stringData"])
        asked = {env["valueFrom"]["secretKeyRef"]["key"] for env in self.container["env"] if "valueFrom" in env}
        (volume,) = [volume["secret"] for volume in self.pod["spec"]["volumes"] if "secret" in volume]
        mounted = {item["key"]: item["path"] for item in volume["items"]}
        self.assertEqual(asked | set(mounted), secret)
        (mount,) = [mount for mount in self.container["volumeMounts"] if mount["name"] == "secrets"]
        files = {env["value"] for env in self.container["env"] if env["name"].endswith("_FILE")}
        self.assertEqual(files, {f"{mount['mountPath']}/{path}" for path in mounted.values()})
        monitor = of_kind(self.documents, "PodMonitor")["spec"]["podMetricsEndpoints"][0]
        self.assertIn(monitor["authorization"]["credentials"]["key"], secret)

    def test_the_pod_runs_as_the_user_of_the_image_and_may_nothing(self):
        user = int(re.search(r"^USER (\d+):\1$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[1])
        pod, own = self.pod["spec"]["securityContext"], self.container["securityContext"]
        self.assertEqual((pod["runAsUser"], pod["fsGroup"], pod["runAsNonRoot"]), (user, user, True))
        self.assertEqual((own["readOnlyRootFilesystem"], own["allowPrivilegeEscalation"]), (True, False))
        self.assertEqual(own["capabilities"], {"drop": ["ALL"]})

    def test_the_settings_that_are_mounted_are_those_that_are_read(self):
        (volume,) = [volume for volume in self.pod["spec"]["volumes"] if "configMap" in volume]
        settings = of_kind(self.documents, "ConfigMap")
        self.assertEqual(volume["configMap"]["name"], settings["metadata"]["name"])
        (mount,) = [mount for mount in self.container["volumeMounts"] if mount["name"] == volume["name"]]
        (named,) = [env["value"] for env in self.container["env"] if env["name"] == "CUECARD_CONFIG"]
        self.assertEqual(named, f"{mount['mountPath']}/{next(iter(settings['data']))}")


class Files(unittest.TestCase):
    def test_every_place_names_this_version(self):
        self.assertEqual(of_kind(rendered(), "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"], f"cuecard:{VERSION}")
        for name in ["compose.yaml", "Dockerfile"]:
            named = set(re.findall(r"cuecard[:-](?:-cuecard:)?(\d+\.\d+\.\d+)", (DEPLOY / name).read_text()))
            self.assertEqual(named, {VERSION}, name)

    def test_the_image_is_made_of_this_version_whatever_else_lies_in_dist(self):
        said = subprocess.run(["make", "--dry-run", "image"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        (build,) = [line for line in said.splitlines() if line.startswith("docker build")]
        for part in [f"PACKAGE=cuecard-{VERSION}-linux-x86_64.tar.zst", f"--tag cuecard:{VERSION} dist"]:
            self.assertIn(part, build)

    def test_the_hashes_of_compose_are_those_of_its_keys(self):
        keys = tomllib.loads((DEPLOY / "compose/settings/cuecard.toml").read_text())["access"]["keys"]
        for name, file in [("operator", "operator.key"), ("prometheus", "metrics.key")]:
            key = (DEPLOY / "compose" / file).read_text().strip()
            self.assertEqual(keys[name]["hash"], hashlib.sha256(key.encode()).hexdigest(), name)
        simulator = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["simulator"]
        operator = (DEPLOY / "compose/operator.key").read_text().strip()
        self.assertEqual(simulator["environment"]["CUECARD_ADMIN_KEY"], operator)

    def test_the_settings_of_compose_are_where_its_service_looks(self):
        service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["cuecard"]
        (folder,) = [volume.split(":") for volume in service["volumes"] if volume.startswith("./")]
        path = pathlib.PurePath(service["environment"]["CUECARD_CONFIG"])
        self.assertEqual(str(path.parent), folder[1])
        self.assertTrue((DEPLOY / folder[0] / path.name).is_file())
        (tenant,) = service["env_file"]
        self.assertTrue((DEPLOY / re.fullmatch(r"\$\{CUECARD_TENANT:-(.+)\}", tenant)[1]).is_file())

    def test_compose_opens_ports_to_this_machine_alone(self):
        services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
        ports = [port for service in services.values() for port in service.get("ports", [])]
        self.assertGreaterEqual(len(ports), 5)
        self.assertEqual([port for port in ports if not port.startswith("127.0.0.1:")], [])

    def test_files_that_compose_mounts_are_there(self):
        services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
        mounts = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
        places = [mount for mount in mounts if mount.startswith(".")]
        self.assertGreaterEqual(len(places), 5)
        self.assertEqual([place for place in places if not (DEPLOY / place).exists()], [])

    def test_grafana_finds_the_data_source_and_the_dashboards_that_are_mounted(self):
        services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
        volumes = [volume.split(":") for volume in services["grafana"]["volumes"] if volume.startswith(".")]
        mounted = {volume[1]: (DEPLOY / volume[0]).resolve() for volume in volumes}
        provisioning = mounted["/etc/grafana/provisioning"]
        (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
        (provider,) = yaml.safe_load((provisioning / "dashboards/cuecard.yml").read_text())["providers"]
        dashboards = sorted(mounted[provider["options"]["path"]].glob("*.json"))
        self.assertEqual([file.name for file in dashboards], ["agents-helped.json", "service-health.json"])
        address = urllib.parse.urlsplit(source["url"])
        self.assertIn(f":{address.port}", services[address.hostname]["ports"][0].removeprefix("127.0.0.1:"))
        for file in dashboards:
            dashboard = json.loads(file.read_text())
            (variable,) = [one for one in dashboard["templating"]["list"] if one["type"] == "datasource"]
            self.assertEqual(variable["query"], source["type"], file)
            # One that is named by itself must be this one; all others are what the variable says.
            named = set(re.findall(r'"type": "prometheus", "uid": "([^"]*)"', file.read_text()))
            self.assertLessEqual(named, {f"${{{variable['name']}}}", source["uid"]}, file)
            self.assertIn(variable.get("current", {}).get("value", source["uid"]), ["default", source["uid"]], file)

    def test_hadolint_finds_nothing_in_the_dockerfile(self):
        hadolint = pathlib.Path(sys.executable).parent / "hadolint"
        # Versions of Debian's packages are those of the base image, which is what is pinned where that matters.
        said = subprocess.run([hadolint, "--ignore", "DL3008", DEPLOY / "Dockerfile"], capture_output=True, text=True)
        self.assertEqual((said.returncode, said.stdout), (0, ""))

    def test_no_step_of_the_dockerfile_needs_buildkit(self):
        text = (DEPLOY / "Dockerfile").read_text()
        self.assertNotRegex(text, r"(?m)^# *syntax *=|--mount=|--chmod=|--link|<<")


class Dashboards(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        register_default_plugins()
        cls.files = {file.name: json.loads(file.read_text()) for file in (ROOT / "grafana/dashboards").glob("*.json")}

    def read_by_grafana(self, dashboard):
        return json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))

    def test_grafana_keeps_all_that_stands_in_them(self):
        for name, written in self.files.items():
            with self.subTest(name):
                self.assertEqual(lost(written, self.read_by_grafana(written)), NOT_GRAFANAS)

    def test_what_grafana_does_not_know_is_seen(self):
        wrong = self.files["agents-helped.json"]
        panel = next(panel for panel in wrong["panels"] if panel["type"] == "timeseries")
        panel["fieldConfig"]["defaults"]["custom"]["lineWith"] = 2
        self.assertEqual(lost(wrong, self.read_by_grafana(wrong)) - NOT_GRAFANAS, {"/panels/fieldConfig/defaults/custom/lineWith"})

    def test_they_are_written_for_the_grafana_that_compose_starts(self):
        version = importlib.metadata.version("grafana-foundation-sdk").partition("!")[2].rpartition(".")[0]
        image = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["grafana"]["image"]
        self.assertEqual(image.partition(":")[2].rpartition(".")[0], version)
        for name, written in self.files.items():
            self.assertEqual(written["schemaVersion"], Dashboard().schema_version, name)


@unittest.skipUnless(shutil.which("docker-compose"), "docker-compose is not here")
class Profiles(unittest.TestCase):
    """Each profile as docker-compose itself reads it, with what compose.yaml says beside each database."""

    def read(self, profile, tenant, **variables):
        command = ["docker-compose", "--file", DEPLOY / "compose.yaml", "--profile", profile, "config"]
        environment = {"PATH": os.environ["PATH"], "CUECARD_TENANT": f"compose/tenants/{tenant}.env", **variables}
        said = subprocess.run(command, env=environment, capture_output=True, text=True)
        self.assertEqual(said.returncode, 0, said.stderr)
        # Nothing that has no value, or that it does not know.
        self.assertEqual(said.stderr, "")
        services = yaml.safe_load(said.stdout)["services"]
        self.assertEqual(services[profile]["profiles"], [profile])
        lines = (DEPLOY / f"compose/tenants/{tenant}.env").read_text().splitlines()
        of_tenant = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        handed_on = {name: variables.get(name, "") for name in ["DATABASE_URL", "NEO4J_PASSWORD"]}
        cuecard = services["cuecard"]["environment"]
        # What src/settings/tests/deployed.rs starts a service with.
        self.assertEqual(cuecard, {"CUECARD_CONFIG": "/etc/cuecard/cuecard.toml"} | handed_on | of_tenant)
        return cuecard, services[profile].get("environment", {})

    def test_neo4j_is_where_the_graph_is_looked_for(self):
        cuecard, database = self.read("neo4j", "graph", NEO4J_PASSWORD="opensesame")
        self.assertEqual(cuecard["NEO4J_URI"], "bolt://neo4j:7687")
        self.assertEqual(database["NEO4J_AUTH"], f"neo4j/{cuecard['NEO4J_PASSWORD']}")

    def test_postgres_is_where_the_ledger_is_kept(self):
        written = re.search(r"# (POSTGRES_PASSWORD=… DATABASE_URL=\S+?),", (DEPLOY / "compose.yaml").read_text())[1]
        variables = dict(pair.split("=", 1) for pair in written.replace("…", "opensesame").split())
        cuecard, database = self.read("postgres", "insights", **variables)
        address = urllib.parse.urlsplit(cuecard["DATABASE_URL"])
        # Without a name of its own the image calls the database as its user.
        expected = ("postgres", database["POSTGRES_USER"], database["POSTGRES_PASSWORD"], f"/{database['POSTGRES_USER']}")
        self.assertEqual((address.hostname, address.username, address.password, address.path), expected)

    def test_chroma_is_where_the_collection_is_looked_for(self):
        cuecard, _ = self.read("chroma", "rag")
        self.assertEqual(cuecard["CHROMA_URL"], "http://chroma:8000")


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not here")
class Unit(unittest.TestCase):
    def test_systemd_takes_it(self):
        with tempfile.TemporaryDirectory() as place:
            unit = pathlib.Path(place) / "cuecard.service"
            # No package is installed here; whether the program is there is not what is checked.
            unit.write_text((DEPLOY / "systemd/cuecard.service").read_text().replace("/opt/cuecard/bin/cuecard", "/bin/true"))
            said = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
        about_it = [line for line in said.stderr.splitlines() if "cuecard" in line]
        self.assertEqual((said.returncode, about_it), (0, []))

    def test_it_names_nothing_that_the_oldest_systemd_does_not_know(self):
        # 247 has the newest directives that stand here; the word for a credential's directory came with 251.
        settings = [line for line in (DEPLOY / "systemd/cuecard.service").read_text().splitlines() if not line.startswith("#")]
        self.assertEqual([line for line in settings if "%d" in line], [])

    def test_it_is_well_protected(self):
        command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", DEPLOY / "systemd/cuecard.service"]
        said = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(said.returncode, 0, said.stdout[-400:] + said.stderr)


if __name__ == "__main__":
    unittest.main()
