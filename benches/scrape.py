#!/usr/bin/env python3
"""What a scrape of /metrics costs, and that the number of its series does not grow with the calls.

A service on one core, with one profile and with five, that hears as many calls as --calls says, a question each. It is scraped
before and after, over one connection. The simulator is on the other core. Prints the table of docs/monitoring.md. Needs
Linux (taskset) and two idle cores.

    make build
    python3 benches/scrape.py --articles demo/articles.jsonl --conversations demo/conversations.jsonl --work /tmp/scrape
"""
import http.client
import json
import shutil
import statistics
import subprocess
import sys
import time

import running

SCRAPES = 200


def settings(base, admin, profiles):
    sections = "\n".join(f'[profiles.tenant-{number}]\ncontract = "insights"' for number in range(1, profiles + 1))
    return f"""
[admin]
addr = "127.0.0.1:{admin}"
[data]
dir = "data-scrape-{profiles}"
[profile]
base_url = "http://127.0.0.1:{base}"
index = "scrape-index"
{sections}
"""


def scraped(admin):
    """Milliseconds of each scrape, and the last one's text."""
    connection, times = http.client.HTTPConnection("127.0.0.1", admin, timeout=30), []
    for _ in range(SCRAPES):
        start = time.perf_counter()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times), text


def total(text, name):
    values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{")]
    return sum(values)


def hear(base, admin, profiles, calls, turns):
    """Every profile hears every call; returns when each question has its end."""
    for number in range(calls):
        fragment = {"type": "TRANSCRIPT_FRAGMENT", "text": turns[number % len(turns)], "interactionId": f"call-{number}",
                    "participant": "CUSTOMER"}
        end = {"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": f"call-{number}"}
        for frame in (fragment, end):
            running.send("POST", f"http://127.0.0.1:{base}/_sim/streams/send", {"text": json.dumps(frame)})
    while True:
        text = running.get(f"http://127.0.0.1:{admin}/metrics")
        if total(text, "cuecard_cards_total") >= profiles * calls:
            return
        time.sleep(0.1)


def row(profiles, calls, admin):
    times, text = scraped(admin)
    series = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
    print(f"| {profiles} | {calls:,} | {series:,} | {len(text) / 1024:.0f} | {statistics.median(times):.1f} "
          f"| {times[round((len(times) - 1) * 0.95)]:.1f} |", flush=True)


def main():
    parser = running.parser(__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="conversations that are heard, one question each")
    arguments = running.started(parser)
    shutil.rmtree("scrape-index", ignore_errors=True)
    subprocess.run([arguments.cuecard, "index", "--articles", arguments.articles, "--index", "scrape-index"], check=True,
                   stdout=sys.stderr)
    turns = [turn["text"] for row in running.read_rows(arguments.conversations) for turn in row["turns"]
             if turn["speaker"] == "customer"]
    print("<!-- scrape -->")
    print("| profiles | calls heard | series | KiB | median ms | p95 ms |")
    print("|---|---|---|---|---|---|")
    for profiles in (1, 5):
        base, admin = running.free_port(), running.free_port()
        shutil.rmtree(f"data-scrape-{profiles}", ignore_errors=True)
        with open("scrape.toml", "w") as file:
            file.write(settings(base, admin, profiles))
        with running.both(arguments, "scrape.toml", base, admin):
            while total(running.page(f"http://127.0.0.1:{admin}/metrics"), "cuecard_stream_up") < profiles:
                time.sleep(0.1)
            row(profiles, 0, admin)
            hear(base, admin, profiles, arguments.calls, turns)
            row(profiles, arguments.calls, admin)


if __name__ == "__main__":
    main()
