#!/usr/bin/env python3
"""What a number of agents takes: cores, memory and disk, from what one core answers and what each question leaves.

The simulator runs on core 0 and the service on core 1 with one encoder thread, contract insights with its own ranker, nothing
silenced, so that every turn is a card: no deployment has more. Prints the tables of docs/operations.md. Needs Linux (taskset) and
two idle cores.

    make build
    python3 benches/sizing.py --articles kb.jsonl.gz --conversations seeking.jsonl.gz --work /tmp/sizing
"""
import json
import math
import pathlib
import shutil
import subprocess

import night
import running

# What is assumed of agents; docs/operations.md says so beside the table.
TURNS_PER_MINUTE, HOURS_PER_DAY, CARDS_PER_TURN = 4, 10, 1 / 3
# A service that is busier answers late when all speak at once.
BUSY = .5
# The default retention, in days.
DECISIONS_DAYS, DELIVERIES_DAYS = 7, 90
AGENTS = (50, 200, 1000, 5000)


def index(arguments):
    """Bytes of an index on disk for each article, and seconds that one core takes for a thousand, from nothing."""
    shutil.rmtree("index", ignore_errors=True)
    command = ["taskset", "-c", running.SERVICE_CORE, arguments.cuecard, "index", "--articles", arguments.articles,
               "--index", "index", "--json"]
    report = json.loads(subprocess.run(list(map(str, command)), check=True, text=True, stdout=subprocess.PIPE).stdout)
    num_bytes = sum(file.stat().st_size for file in pathlib.Path("index").rglob("*") if file.is_file())
    return num_bytes / report["articles"], report["duration_seconds"] / report["articles"] * 1000


def answered(arguments, seconds, keeps_decisions):
    """Questions a second at most, memory when ready and at its peak, and what the ledger holds of how many rows."""
    port = running.free_port()
    service = night.Service(arguments, {"main": f"http://127.0.0.1:{port}"},
                            CUECARD__DATA__KEEP_DECISIONS="on" if keeps_decisions else "off")
    with service.started() as process:
        ready = night.resident_mb(process)
        most = night.capacity(arguments, port, service.admin)
        night.load(arguments, port, service.admin, seconds, most / 4)
        peak = running.peak_memory_mb(process)
    command = [arguments.cuecard, "ledger", "stats", "--json", "--config", "cuecard.toml"]
    told = subprocess.run(list(map(str, command)), check=True, text=True, stdout=subprocess.PIPE,
                          env={**running.CLIENT, **service.environment}).stdout
    stats = json.loads(told)
    rows = {table["name"]: table["rows"] for table in stats["tables"]}
    return most, ready, peak, stats["num_bytes"], rows


def main():
    parser = running.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of ordinary load, for each of the two ledgers")
    arguments = running.started(parser)
    bytes_per_article, seconds_per_thousand = index(arguments)
    *_, size, rows = answered(arguments, arguments.seconds, False)
    per_delivery = size / rows["deliveries"]
    most, ready, peak, size, rows = answered(arguments, arguments.seconds, True)
    per_decision = (size - per_delivery * rows["deliveries"]) / rows["decisions"]
    print("<!-- sizing measured -->")
    print("| one core | |\n|---|---|")
    print(f"| questions a second, each with its card | {most:.0f} |")
    print(f"| memory when ready; at its peak | {ready:.0f} MB; {peak:.0f} MB |")
    print(f"| ledger, for each decision; for each delivery | {per_decision:.0f} B; {per_delivery:.0f} B |")
    print(f"| index on disk, for each article | {bytes_per_article / 1000:.1f} kB |")
    print(f"| an index from nothing, for 1,000 articles | {seconds_per_thousand:.1f} s |")
    print()
    print("<!-- sizing -->")
    print("| agents in calls | questions a second | cores | ledger after 90 days |\n|---|---|---|---|")
    for agents in AGENTS:
        questions = agents * TURNS_PER_MINUTE / 60
        # One core for sockets, the ledger and everything else.
        cores = 1 + math.ceil(questions / (most * BUSY))
        per_day = questions * 3600 * HOURS_PER_DAY
        kept = per_day * (DECISIONS_DAYS * per_decision + DELIVERIES_DAYS * CARDS_PER_TURN * per_delivery)
        print(f"| {agents:,} | {questions:.1f} | {cores} | {kept / 1e9:.1f} GB |")


if __name__ == "__main__":
    main()
