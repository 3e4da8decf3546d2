#!/usr/bin/env python3
"""What it costs to watch: cards a second with traces, kept decisions, a log line each and an open console, beside none of these.

The service is on core 1 with one encoder thread; the simulator, a collector of traces and the console's reader share core 0. Each
round takes all ways in turn, every other round from the last to the first, and a way's ratio is that to `nobody watches` of its own
round. The time that the service itself computes for a card leaves out what the reader and the collector take from the simulator.
Prints the table of docs/monitoring.md. Needs Linux (taskset) and two idle cores.

    make build
    python3 benches/observation.py --articles kb.jsonl.gz --conversations seeking.jsonl.gz --work /tmp/observation
"""
import contextlib
import http.server
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import urllib.request

import night
import running

NOBODY, TRACES, DECISIONS, CONSOLE = "nobody watches", "traces of every question", "decisions kept, a log line each", "an open console"
WAYS = {NOBODY: (), TRACES: (TRACES,), DECISIONS: (DECISIONS,), CONSOLE: (CONSOLE,), "all of it": (TRACES, DECISIONS, CONSOLE)}


class Collector:
    """Takes whatever is exported over HTTP and counts its bytes."""

    def __init__(self):
        collector = self
        self.num_bytes = 0

        class Taking(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                collector.num_bytes += len(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taking)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"


class Console:
    """Reads the console's feed as its page does: anew each time the service ends it."""

    def __init__(self, admin):
        self.url, self.num_bytes, self.is_open = f"http://127.0.0.1:{admin}/console/feed", 0, True
        self.reading = threading.Thread(target=self.read, daemon=True)
        self.reading.start()

    def read(self):
        with contextlib.suppress(OSError):
            while self.is_open:
                with urllib.request.urlopen(self.url, timeout=30) as feed:
                    while self.is_open and (read := feed.read1(65536)):
                        self.num_bytes += len(read)

    def close(self):
        self.is_open = False
        self.reading.join(30)
        return self.num_bytes


def answered(arguments, watched, collector):
    """Cards a second, and the milliseconds of the core for each; ends the benchmark where what is watched was not seen to come."""
    port, log = running.free_port(), pathlib.Path("log.jsonl")
    more = {"CUECARD__DATA__KEEP_DECISIONS": "off"}
    if TRACES in watched:
        more["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.address
    if DECISIONS in watched:
        more.update({"CUECARD__DATA__KEEP_DECISIONS": "on", "RUST_LOG": "info", "CUECARD__LOG__FLOOD_LIMIT": "0"})
    service = night.Service(arguments, {"main": f"http://127.0.0.1:{port}"}, **more)
    traced = collector.num_bytes
    with open(log, "w") as lines, service.started(lines) as process:
        console = Console(service.admin) if CONSOLE in watched else None
        before = running.cpu_seconds(process)
        figures = night.saturated(arguments, port, service.admin)
        milliseconds = (running.cpu_seconds(process) - before) * 1000 / figures["cards"]
        shown = console.close() if console else 0
    seen = {TRACES: collector.num_bytes > traced, DECISIONS: log.stat().st_size > 10_000, CONSOLE: shown > 10_000}
    for what, is_seen in seen.items():
        if is_seen != (what in watched):
            sys.exit(f"{what}: {'came without being asked for' if is_seen else 'nothing came'}")
    print(f"{', '.join(watched) or NOBODY}: {figures['cards_per_second']:.1f} a second, {milliseconds:.2f} ms each", file=sys.stderr)
    return figures["cards_per_second"], milliseconds


def main():
    parser = running.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = running.started(parser)
    os.sched_setaffinity(0, {int(running.SIMULATOR_CORE)})
    subprocess.run([arguments.cuecard, "index", "--articles", arguments.articles, "--index", "index"], check=True,
                   stdout=sys.stderr)
    collector = Collector()
    rounds = [{way: answered(arguments, WAYS[way], collector) for way in (list(WAYS) if number % 2 else reversed(WAYS))}
              for number in range(arguments.rounds)]
    print("<!-- observation -->")
    print("| | cards a second | beside nobody | ms of the core for each | beside nobody |\n|---|---|---|---|---|")
    for way in WAYS:
        cells = []
        for figure in (0, 1):
            cells.append(f"{statistics.median(each[way][figure] for each in rounds):.2f}")
            cells.append(f"{statistics.median(each[way][figure] / each[NOBODY][figure] for each in rounds):.3f}")
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
