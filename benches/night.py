#!/usr/bin/env python3
"""What a bad night costs: traffic far over capacity, one tenant that floods, a CXone that is gone, a ledger of years.

The simulators run on core 0 and the service on core 1 with one encoder thread. Prints the tables of docs/reliability.md.
Needs Linux (taskset) and two idle cores.

    make build
    python3 benches/night.py --articles kb.jsonl.gz --conversations seeking.jsonl.gz --work /tmp/night overload tenants
"""
import asyncio
import contextlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

import running

# What the service's own tests use it for: a stream with feedback.
CONTRACT = "insights"
FLOOD, FLOOD_SECONDS = 10, 120
DELIVERIES = 1_000_000


def series(admin, name, **labels):
    """The sum over the series of this name that carry these labels."""
    total = 0.0
    for line in running.get(f"http://127.0.0.1:{admin}/metrics").splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name and all(f'{key}="{value}"' in (found[2] or "") for key, value in labels.items()):
            total += float(found[3])
    return total


def by_label(admin, name, label):
    """Series of this name that are not 0, added up by one label."""
    totals = {}
    for line in running.get(f"http://127.0.0.1:{admin}/metrics").splitlines():
        found = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line)
        if found and found[1] == name and float(found[3]):
            value = re.search(f'{label}="([^"]*)"', found[2])[1]
            totals[value] = totals.get(value, 0) + int(float(found[3]))
    return totals


def listed(totals):
    return ", ".join(f"{name} {number}" for name, number in sorted(totals.items())) or "nothing"


def reset_peak(service):
    pathlib.Path(f"/proc/{service.pid}/clear_refs").write_text("5")


def resident_mb(service):
    status = pathlib.Path(f"/proc/{service.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


class Service:
    """A service with these profiles, and where its ports are."""

    def __init__(self, arguments, bases, **more):
        self.admin = running.free_port()
        shutil.rmtree("data", ignore_errors=True)
        profiles = "".join(f"[profiles.{name}]\ncontract = '{CONTRACT}'\nbase_url = '{base}'\n"
                           for name, base in bases.items())
        pathlib.Path("cuecard.toml").write_text(profiles)
        self.command = [arguments.cuecard, "serve", "--config", "cuecard.toml"]
        self.environment = {
            **running.CLIENT, "CUECARD_ADMIN_ADDR": f"127.0.0.1:{self.admin}", "CUECARD_INDEX": "index",
            "CUECARD_DATA_DIR": "data", "CUECARD_SILENCE": "off", "CUECARD__PROFILE__SCREEN_TIME": "0s",
            "CUECARD__ENCODER__THREADS": "1", "RUST_LOG": "error", **more}

    @contextlib.contextmanager
    def started(self, stderr=None):
        with running.process(running.SERVICE_CORE, self.command, self.environment, stderr) as service:
            running.wait_until_answers(f"http://127.0.0.1:{self.admin}/livez", service)
            yield service


def replay(arguments, port, admin, *more, profile=None):
    """A load that runs until its time is over; `.figures()` waits for it."""
    command = ["taskset", "-c", running.SIMULATOR_CORE, arguments.simulator, "replay", "--port", str(port), "--contract",
               CONTRACT, "--conversations", arguments.conversations, "--admin", f"http://127.0.0.1:{admin}", "--json",
               *more, *(["--profile", profile] if profile else [])]
    started = subprocess.Popen(list(map(str, command)), env={**os.environ, **running.CLIENT}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def figures():
        printed = started.communicate()[0].strip()
        if not printed:
            sys.exit(f"{command} printed nothing")
        return json.loads(printed.splitlines()[-1])

    return figures


def load(arguments, port, admin, seconds, rate, **more):
    return replay(arguments, port, admin, "--repeat", "--rate", rate, "--duration", seconds, **more)()


def saturated(arguments, port, admin):
    """The figures where each conversation goes on as soon as it has its card."""
    return replay(arguments, port, admin, "--concurrency", 32, "--duration", 15)()


def capacity(arguments, port, admin):
    """Cards a second then."""
    return saturated(arguments, port, admin)["cards_per_second"]


def overload(arguments):
    port = running.free_port()
    service = Service(arguments, {"main": f"http://127.0.0.1:{port}"})
    admin = service.admin
    with service.started() as process:
        most = capacity(arguments, port, admin)
        reset_peak(process)
        load(arguments, port, admin, 30, most)
        at_capacity = running.peak_memory_mb(process)
        before = load(arguments, port, admin, 20, most / 4)["p50_ms"]
        reset_peak(process)
        flood = load(arguments, port, admin, FLOOD_SECONDS, most * FLOOD)
        at_flood = running.peak_memory_mb(process)
        time.sleep(5)
        after = load(arguments, port, admin, 20, most / 4)["p50_ms"]
        time.sleep(2)
        heard, outcomes = series(admin, "cuecard_utterances_total"), by_label(admin, "cuecard_cards_total", "outcome")
        print("<!-- overload -->")
        print("| | |\n|---|---|")
        print(f"| cards a second at capacity | {most:.0f} |")
        print(f"| turns said in {FLOOD_SECONDS} s at {FLOOD} times that; cards | {flood['turns']}; {flood['cards']} |")
        print(f"| peak memory at capacity; in the flood; ratio | {at_capacity:.0f} MB; {at_flood:.0f} MB; "
              f"{at_flood / at_capacity:.2f} |")
        print(f"| p50 before; from 5 s after its end; ratio | {before:.1f} ms; {after:.1f} ms; {after / before:.2f} |")
        print(f"| questions heard, in all; the sum of their ends | {heard:.0f}; {sum(outcomes.values())} |")
        print(f"| their ends | {listed(outcomes)} |")
        print(f"| let go elsewhere | {listed(by_label(admin, 'cuecard_dropped_total', 'reason'))} |")


def tenants(arguments):
    quiet, loud = running.free_port(), running.free_port()
    bases = {"quiet": f"http://127.0.0.1:{quiet}", "loud": f"http://127.0.0.1:{loud}"}
    service = Service(arguments, bases)
    admin = service.admin
    rows = []
    with service.started():
        most = capacity(arguments, loud, admin)
        for _ in range(3):
            alone = load(arguments, quiet, admin, 30, 4, profile="quiet")
            flood = replay(arguments, loud, admin, "--repeat", "--rate", most * FLOOD, "--duration", 40, profile="loud")
            time.sleep(5)
            before = series(admin, "cuecard_queries_without_vectors_total", profile="quiet")
            beside = load(arguments, quiet, admin, 30, 4, profile="quiet")
            without = series(admin, "cuecard_queries_without_vectors_total", profile="quiet") - before
            flood()
            rows.append((alone, beside, without))
    print("<!-- tenants -->")
    print("| the quiet tenant, 4 turns a second | p50 ms | p95 ms | cards of turns | questions without vectors |")
    print("|---|---|---|---|---|")
    for place, name in enumerate(("alone", f"beside one that says {FLOOD} times what can be answered")):
        figures = [row[place] for row in rows]
        cards = sum(row["cards"] for row in figures), sum(row["turns"] for row in figures)
        without = sum(row[2] for row in rows) if place else 0
        middle = {key: statistics.median(row[key] for row in figures) for key in ("p50_ms", "p95_ms")}
        print(f"| {name} | {middle['p50_ms']:.1f} | {middle['p95_ms']:.1f} | {cards[0]} of {cards[1]} | {without:.0f} |")


class Gate:
    """A way to the hub that can be shut, as a network or a hub that is gone: nothing answers, and what was open breaks."""

    def __init__(self, target):
        self.port, self.target, self.opened = running.free_port(), target, []
        self.loop, self.server, self.sockets = asyncio.new_event_loop(), None, set()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def open(self):
        self.opened = []
        self.server = await asyncio.start_server(self.pass_on, "127.0.0.1", self.port)

    async def shut(self):
        self.server.close()
        for writer in list(self.sockets):
            writer.transport.abort()
        # What breaks needs a moment to be noticed by its own task.
        await asyncio.sleep(0.1)

    async def pass_on(self, reader, writer):
        self.sockets.add(writer)
        with contextlib.suppress(OSError):
            first = await reader.read(65536)
            if b"agentassist/stream" in first:
                self.opened.append(time.monotonic())
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            self.sockets.add(back)
            back.write(first)
            await asyncio.gather(self.copy(reader, back), self.copy(there, writer))
        self.sockets.discard(writer)

    async def copy(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


def outage(arguments):
    """A hundred streams to a hub that is gone for a minute, with verdicts that wait and a question under way."""
    hub = running.free_port()
    gate = Gate(hub)
    names = [f"t{number}" for number in range(100)]
    service = Service(arguments, {name: f"http://127.0.0.1:{gate.port}" for name in names})
    simulator = [arguments.simulator, "serve", "--port", str(hub)]
    with running.process(running.SIMULATOR_CORE, simulator, {}) as simulating:
        control = f"http://127.0.0.1:{hub}/_sim"
        running.wait_until_answers(f"{control}/summary", simulating)
        gate.call(gate.open())
        with service.started():
            def until(what, reached, seconds=90):
                for _ in range(seconds * 20):
                    if reached():
                        return
                    time.sleep(0.05)
                sys.exit(f"waited for {what}")

            def streams():
                return json.loads(running.get(f"{control}/summary"))["streams"]

            def received(route):
                return json.loads(running.get(f"{control}/received?route={route}"))

            def say(interaction, text):
                for frame in ({"type": "TRANSCRIPT_FRAGMENT", "text": text, "interactionId": interaction,
                               "participant": "CUSTOMER"},
                              {"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": interaction}):
                    running.send("POST", f"{control}/streams/send", {"text": json.dumps(frame)})

            until("a hundred streams", lambda: streams() >= 100)
            question = running.read_rows(arguments.conversations)[0]["turns"][-1]["text"]
            say("before", question)
            until("its cards", lambda: len(received("insights")) >= 100)
            running.send("POST", f"{control}/faults", {"route": "feedback", "times": "always",
                                                       "fault": {"kind": "answer", "status": 503}})
            insight = received("insights")[0]["body"]["insights"][0]["id"]
            running.send("POST", f"{control}/verdict", {"interactionId": "before", "insightId": insight,
                                                        "accepted": True})
            pending = lambda: series(service.admin, "cuecard_feedback_pending")
            until("verdicts that wait", lambda: pending() >= 100)
            waited = int(pending())
            running.send("DELETE", f"{control}/faults")
            say("stale", question)
            gate.call(gate.shut())
            pushed = len([push for push in received("insights") if "stale" in json.dumps(push["body"])])
            time.sleep(60)
            back = time.monotonic()
            gate.call(gate.open())
            until("a hundred streams again", lambda: len(gate.opened) >= 100)
            until("no verdict that waits", lambda: pending() == 0)
            time.sleep(2)
            after = sorted(moment - back for moment in gate.opened)
            stale = len([push for push in received("insights") if "stale" in json.dumps(push["body"])]) - pushed
            tenths = [sum(1 for moment in after if tenth / 10 <= moment < (tenth + 1) / 10) for tenth in range(24)]
            print("<!-- outage -->")
            print("| | |\n|---|---|")
            taken = sum(1 for call in received("feedback") if call["status"] == 204)
            print(f"| verdicts that waited when the hub went; that it took after its return | {waited}; {taken} |")
            print(f"| cards of before that were pushed after | {stale} |")
            print(f"| the first, the middle and the last of 100 streams, s after the return | {after[0]:.2f}, "
                  f"{after[len(after) // 2]:.2f}, {after[99]:.2f} |")
            print(f"| handshakes in each tenth of a second from the return on | {' '.join(map(str, tenths))} |")


def decisions(arguments):
    rounds = []
    for _ in range(5):
        pair = {}
        for kept in ("off", "on"):
            port = running.free_port()
            service = Service(arguments, {"main": f"http://127.0.0.1:{port}"}, CUECARD__DATA__KEEP_DECISIONS=kept)
            with service.started():
                cards = capacity(arguments, port, service.admin)
                pair[kept] = cards, load(arguments, port, service.admin, 15, 10)["p50_ms"]
        rounds.append(pair)
    print("<!-- decisions kept -->")
    print("| `data.keep_decisions` | cards a second | p50 ms at 10 a second |\n|---|---|---|")
    for kept in ("off", "on"):
        cards, middle = (statistics.median(pair[kept][place] for pair in rounds) for place in (0, 1))
        print(f"| {kept} | {cards:.1f} | {middle:.2f} |")
    ratio = statistics.median(pair["on"][0] / pair["off"][0] for pair in rounds)
    added = statistics.median(pair["on"][1] - pair["off"][1] for pair in rounds)
    print(f"| on beside off, in the same round | {ratio:.3f} | {added:+.2f} |")


def fill(ledger, deliveries):
    """A ledger of years: deliveries with their card and what the agent made of it."""
    with contextlib.closing(sqlite3.connect(ledger)) as database:
        database.execute("PRAGMA synchronous = OFF")
        now = int(time.time() * 1e6)
        columns = [row[1] for row in database.execute("PRAGMA table_info(deliveries)")]
        values = {"id": "randomblob(16)", "profile": "'main'", "interaction": "'call-' || (value / 5)",
                  "utterance": "value % 5", "delivered_at_us": f"{now} - ({deliveries} - value) * 2000000",
                  "cxone_id": "'INS-' || value", "latency_ms": "9"}
        names = [name for name in columns if name in values]
        numbers = f"WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {deliveries})"
        database.execute(f"{numbers} INSERT INTO deliveries ({', '.join(names)}) "
                         f"SELECT {', '.join(values[name] for name in names)} FROM n")
        database.execute("INSERT INTO impressions (delivery, article_id, wire_id, content_hash, rank, score, features) "
                         "SELECT number, 'article', 'article', 'hash', 1, 0.5, '{}' FROM deliveries")
        database.commit()


def start(arguments):
    """From the start of the process until it is ready, with an empty ledger and with one of many deliveries, in turn."""
    port = running.free_port()
    with running.process(running.SIMULATOR_CORE, [arguments.simulator, "serve", "--port", str(port)], {}) as simulator:
        running.wait_until_answers(f"http://127.0.0.1:{port}/_sim/summary", simulator)
        service = Service(arguments, {"main": f"http://127.0.0.1:{port}"})

        def once():
            begun = time.monotonic()
            with running.process(running.SERVICE_CORE, service.command, service.environment) as process:
                running.wait_until_answers(f"http://127.0.0.1:{service.admin}/livez", process)
                while '"status":"ready"' not in running.page(f"http://127.0.0.1:{service.admin}/readyz").replace(" ", ""):
                    time.sleep(0.005)
                return time.monotonic() - begun, resident_mb(process)

        once()
        shutil.copytree("data", "data-empty", dirs_exist_ok=True)
        fill("data/ledger.db", DELIVERIES)
        shutil.rmtree("data-full", ignore_errors=True)
        shutil.move("data", "data-full")
        rounds = []
        for _ in range(5):
            pair = []
            for directory in ("data-empty", "data-full"):
                service.environment["CUECARD_DATA_DIR"] = directory
                pair.append(once())
            rounds.append(pair)
    size = pathlib.Path("data-full/ledger.db").stat().st_size / 2**20
    print("<!-- start -->")
    print("| ledger | from the start to ready, s | memory when ready, MB |\n|---|---|---|")
    for place, name in enumerate(("empty", f"{DELIVERIES:,} deliveries, {size:.0f} MB")):
        seconds, memory = (statistics.median(pair[place][figure] for pair in rounds) for figure in (0, 1))
        print(f"| {name} | {seconds:.2f} | {memory:.0f} |")


PARTS = {"overload": overload, "tenants": tenants, "outage": outage, "decisions": decisions, "start": start}


def main():
    parser = running.parser(__doc__)
    parser.add_argument("parts", nargs="*", help=f"all, or some of {', '.join(PARTS)}")
    arguments = running.started(parser)
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    subprocess.run([arguments.cuecard, "index", "--articles", arguments.articles, "--index", "index"], check=True,
                   stdout=sys.stderr)
    for part in arguments.parts or PARTS:
        PARTS[part](arguments)
        print(flush=True)


if __name__ == "__main__":
    main()
