"""A container engine for one test run: Debian's dockerd with data, socket and images of its own, gone at the end.

No image registry is reached. The base image is Debian's minimal system, made by debootstrap and imported under the name that
deploy/Dockerfile takes it by; it is kept in the cache, as a file, for the next run.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

# The Dockerfile's base.
BASE = "debian:bookworm-slim"
KEPT = pathlib.Path(os.environ["CUECARD_CACHE"]) / "debian-bookworm-minbase.tar"
# What Debian's own slim image leaves out as well.
LEFT_OUT = ["var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"]
# What ends a wait that is in vain, on however busy a machine.
PATIENCE = 600


def until(what, condition):
    """Waits until `condition` gives something, and gives that."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {PATIENCE} s in vain: {what}")


class Engine:
    def __init__(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="cuecard-engine-"))
        socket = f"unix://{self.place}/docker.sock"
        # The older builder: what it can build, every engine can.
        self.environment = os.environ | {"DOCKER_HOST": socket, "DOCKER_BUILDKIT": "0"}
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "dockerd.pid"}
        options = [f"--{name}={self.place / below}" for name, below in places.items()]
        self.log = (self.place / "dockerd.log").open("w+")
        self.process = subprocess.Popen(["dockerd", f"--host={socket}", *options], stdout=self.log, stderr=self.log)

    def wait(self):
        def answers():
            if self.process.poll() is not None:
                self.log.seek(0)
                raise AssertionError(f"dockerd ended: {self.log.read()[-2000:]}")
            return subprocess.run(["docker", "version"], env=self.environment, capture_output=True).returncode == 0

        until("dockerd answers", answers)

    def run(self, *command, check=True, **more):
        done = subprocess.run(list(map(str, command)), env=self.environment | more, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    def inspect(self, name):
        return json.loads(self.run("docker", "inspect", name).stdout)[0]

    def import_base(self):
        if not KEPT.exists():
            system = self.place / "debian"
            self.run("debootstrap", "--variant=minbase", "bookworm", system)
            for place in LEFT_OUT:
                for entry in (system / place).iterdir():
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            partial = self.place / "debian.tar"
            self.run("tar", "--create", "--numeric-owner", "--one-file-system", "--file", partial, "--directory", system, ".")
            shutil.move(partial, KEPT)
        self.run("docker", "import", KEPT, BASE)

    def build(self, tag, dockerfile, context, *more):
        """The packages of Debian come through the host's network: an engine without an own way out builds as well."""
        self.run("docker", "build", "--network", "host", "--file", dockerfile, "--tag", tag, *more, context)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        # It leaves its network namespaces mounted.
        mounted = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted(mounted, reverse=True):
            if mount.startswith(f"{self.place}/"):
                subprocess.run(["umount", mount], check=True)
        shutil.rmtree(self.place)
