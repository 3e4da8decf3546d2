"""Starts the service and the simulator for a benchmark, on free ports, and ends them."""
import argparse
import contextlib
import gzip
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

SIMULATOR_CORE, SERVICE_CORE = "0", "1"
CLIENT = {"CXONE_CLIENT_ID": "cxone-sim-client", "CXONE_CLIENT_SECRET": "cxone-sim-secret"}


def read_rows(path):
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else open(path)
    with opened as lines:
        return [json.loads(line) for line in lines if line.strip()]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def process(core, command, environment, stderr=None):
    """Runs on one core until the block is left; its complaints go to the file, or to ours."""
    command = ["taskset", "-c", core, *map(str, command)]
    running = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL,
                               stderr=stderr)
    try:
        yield running
    finally:
        running.terminate()
        running.wait(30)


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def page(url):
    """Also of an answer that is an error."""
    try:
        return get(url)
    except urllib.error.HTTPError as error:
        return error.read().decode()


def send(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {url} was answered {error.code}: {error.read().decode()}")


@contextlib.contextmanager
def both(arguments, config, base, admin):
    """A simulator with the articles, and a service by these settings, which is given as soon as both answer."""
    simulator = [arguments.simulator, "serve", "--port", base, "--articles", arguments.articles]
    service = [arguments.cuecard, "serve", "--config", config]
    environment = {**CLIENT, "RUST_LOG": "error"}
    with process(SIMULATOR_CORE, simulator, environment) as peer, process(SERVICE_CORE, service, environment) as cuecard:
        wait_until_answers(f"http://127.0.0.1:{base}/_sim/state", peer)
        wait_until_answers(f"http://127.0.0.1:{admin}/livez", cuecard)
        yield cuecard


def wait_until_answers(url, running, seconds=60):
    for _ in range(seconds * 10):
        if running.poll() is not None:
            sys.exit(f"{running.args[3]} ended with {running.returncode}")
        try:
            return get(url)
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} does not answer")


def cpu_seconds(running):
    fields = pathlib.Path(f"/proc/{running.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory_mb(running):
    status = pathlib.Path(f"/proc/{running.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def parser(description):
    """What every benchmark of whole programs is told; `started` reads it."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--articles", type=pathlib.Path, required=True)
    arguments.add_argument("--conversations", type=pathlib.Path, required=True)
    arguments.add_argument("--work", type=pathlib.Path, required=True, help="directory for what the run leaves")
    arguments.add_argument("--cuecard", type=pathlib.Path, default="bin/cuecard")
    arguments.add_argument("--simulator", type=pathlib.Path, default="bin/cxone-sim")
    return arguments


def started(parser):
    """The arguments, with paths that stay true in the directory of the run, which is entered."""
    arguments = parser.parse_args()
    for name in ("articles", "conversations", "work", "cuecard", "simulator"):
        setattr(arguments, name, getattr(arguments, name).resolve())
    arguments.work.mkdir(parents=True, exist_ok=True)
    os.chdir(arguments.work)
    return arguments
