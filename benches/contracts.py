#!/usr/bin/env python3
"""Cards per second and latency of each contract, and prints the table of docs/benchmarks.md.

The simulator runs on core 0 and the service on core 1 with one encoder thread, so what is measured is what one core
gives. The real work is done: real sockets, the real model, a real index, a real ledger; nothing is silenced, because
every card counts. Needs Linux (taskset) and two idle cores.

    make build
    python3 benches/contracts.py --articles kb.jsonl.gz --conversations seeking.jsonl.gz --work /tmp/speed
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import running

# What is set beside contract, ports and index. The snippets contract would otherwise fetch its articles anew.
CONTRACTS = {
    "rag": {"CUECARD__PROFILE__WINDOW": "1"},
    "snippets": {"CUECARD__PROFILE__SYNC": "off", "CUECARD__PROFILE__WINDOW": "1"},
    # The nearest keyword counts however far it is: every turn gets a card.
    "graph": {"CUECARD_GRAPH": "graph.jsonl", "CUECARD__PROFILE__MIN_KEYWORD_COSINE": "0"},
    "insights": {},
    "insights, cosine of the newest turn": {"CUECARD__PROFILE__WINDOW": "1", "CUECARD_RANKER": "cosine"},
    "insights, remote search": {"CUECARD__PROFILE__BACKENDS": "search", "CUECARD_RANKER": "search"},
    "ranking": {},
}


def write_graph(articles, path):
    """A keyword for each different title, related to the articles of that title."""
    with open(path, "w") as graph:
        rows = [{"kind": "query", "keyword": keyword} for keyword in dict.fromkeys(row["title"] for row in articles)]
        for row in articles:
            rows.append({"kind": "article", "id": row["id"], "status": "published", "title": row["title"],
                         "url": row.get("url") or "", "summary": row["body"], "priority": 1})
            rows.append({"kind": "relation", "from": "query:" + row["title"], "type": "RELATED_TO",
                         "to": "article:" + row["id"]})
        graph.writelines(json.dumps(row) + "\n" for row in rows)


def wait_for_keywords(admin, seconds=600):
    """The page says why a profile is not ready: while the simulator is away it never is, but the graph must be."""
    for _ in range(seconds * 2):
        time.sleep(0.5)
        profiles = json.loads(running.page(f"http://127.0.0.1:{admin}/readyz"))["profiles"]
        reasons = [profile.get("reason", "") for profile in profiles]
        if reasons and not any("the graph" in reason for reason in reasons):
            return
    sys.exit("the graph's keywords are not embedded")


def run(name, arguments, concurrency):
    contract = name.split(",")[0]
    base, api, admin = running.free_port(), running.free_port(), running.free_port()
    # A ledger that an earlier run has filled would count against this one; the keywords' embeddings may stay.
    for part in pathlib.Path(f"data-{contract}").glob("ledger.db*"):
        part.unlink()
    environment = {
        **running.CLIENT, "CXONE_CONTRACT": contract, "CXONE_BASE_URL": f"http://127.0.0.1:{base}",
        "CXONE_OAUTH_URL": f"http://127.0.0.1:{base}/api/v2/oauth/token" if contract == "ranking" else "",
        "CUECARD_API_ADDR": f"127.0.0.1:{api}", "CUECARD_ADMIN_ADDR": f"127.0.0.1:{admin}", "CUECARD_API_KEYS": "off",
        "CUECARD_INDEX": "index", "CUECARD_DATA_DIR": f"data-{contract}", "CUECARD_SILENCE": "off",
        "CUECARD__PROFILE__SCREEN_TIME": "0s", "CUECARD__ENCODER__THREADS": "1", "RUST_LOG": "error",
        **CONTRACTS[name],
    }
    with running.process(running.SERVICE_CORE, [arguments.cuecard, "serve"], environment) as service:
        running.wait_until_answers(f"http://127.0.0.1:{admin}/livez", service)
        if contract == "graph":
            wait_for_keywords(admin)
        before, started = running.cpu_seconds(service), time.monotonic()
        replay = subprocess.run(
            ["taskset", "-c", running.SIMULATOR_CORE, arguments.simulator, "replay", "--port", str(base),
             "--contract", contract, "--conversations", str(arguments.conversations),
             "--articles", str(arguments.articles), "--target", f"http://127.0.0.1:{api}",
             "--admin", f"http://127.0.0.1:{admin}", "--concurrency", str(concurrency),
             "--duration", str(arguments.seconds), "--json"],
            env={**os.environ, **environment}, capture_output=True, text=True)
        if not replay.stdout.strip():
            sys.exit(f"{name}: {replay.stderr}")
        figures = json.loads(replay.stdout.strip().splitlines()[-1])
        figures["cpu_share"] = (running.cpu_seconds(service) - before) / (time.monotonic() - started)
        figures["peak_mb"] = running.peak_memory_mb(service)
        return figures


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def main():
    parser = running.parser(__doc__)
    parser.add_argument("--contracts", nargs="*", default=list(CONTRACTS))
    parser.add_argument("--concurrency", type=int, default=32, help="conversations side by side when saturated")
    parser.add_argument("--seconds", type=int, default=12, help="of one run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--raw", action="store_true", help="also print every run's figures")
    arguments = running.started(parser)
    subprocess.run([arguments.cuecard, "index", "--articles", arguments.articles, "--index", "index"], check=True,
                   stdout=sys.stderr)
    write_graph(running.read_rows(arguments.articles), "graph.jsonl")
    print("<!-- contracts -->")
    print("| contract | cards a second, saturated | one at a time: p50 ms | p95 ms | lost | violations | peak memory MB |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.contracts:
        rounds = [(run(name, arguments, arguments.concurrency), run(name, arguments, 1))
                  for _ in range(arguments.rounds)]
        saturated, single = [pair[0] for pair in rounds], [pair[1] for pair in rounds]
        if arguments.raw:
            print(json.dumps({"saturated": saturated, "single": single}), file=sys.stderr)
        lost = sum(row["lost"] for row in saturated + single)
        violations = sum(row["violations"] for row in saturated + single)
        print(f"| {name} | {median(saturated, 'cards_per_second'):.0f} | {median(single, 'p50_ms'):.1f} "
              f"| {median(single, 'p95_ms'):.1f} | {lost} | {violations} | {median(saturated, 'peak_mb'):.0f} |",
              flush=True)


if __name__ == "__main__":
    main()
