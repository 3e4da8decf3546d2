#!/usr/bin/env python3
"""What polling the tenant's articles costs: how long it takes, and what live questions feel of it.

One service on one core, with one encoder thread: a profile of the contract snippets polls into the index that a
profile of the contract rag answers from. Somebody asks twenty questions a second all the while. The simulator is on
the other core. Prints the tables of docs/benchmarks.md. Needs Linux (taskset) and two idle cores.

    make build
    python3 benches/sync.py --articles kb.jsonl.gz --conversations seeking.jsonl.gz --work /tmp/sync
"""
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time

import running

PACE = 0.05


class Asker(threading.Thread):
    """Asks at a steady pace; `latencies` are (when asked, seconds). `ended` says what went wrong, if anything did."""

    def __init__(self, port, questions):
        super().__init__(daemon=True)
        self.port, self.questions, self.latencies, self.stopping, self.failure = port, questions, [], False, None

    def run(self):
        try:
            self.ask()
        except (OSError, http.client.HTTPException, ValueError) as failure:
            self.failure = failure

    def ended(self):
        self.stopping = True
        self.join()
        if self.failure:
            sys.exit(f"a question failed: {self.failure!r}")

    def ask(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        start = time.monotonic()
        for number in range(10**9):
            if self.stopping:
                return
            body = {"conversation_id": f"call-{number}", "agent_id": "agent-1",
                    "query_text": self.questions[number % len(self.questions)]}
            asked = time.monotonic()
            connection.request("POST", "/assist/push", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise ValueError(f"answered {answer.status}: {text}")
            self.latencies.append((asked, time.monotonic() - asked))
            time.sleep(max(0.0, start + (number + 1) * PACE - time.monotonic()))

    def within(self, windows):
        """Milliseconds of the questions that were asked in one of these spans."""
        return sorted(took * 1e3 for asked, took in self.latencies if any(a <= asked < b for a, b in windows))


def at(sorted_times, share):
    return sorted_times[round((len(sorted_times) - 1) * share)]


def num_polls(admin):
    lines = running.get(f"http://127.0.0.1:{admin}/metrics").splitlines()
    polls = [line for line in lines if line.startswith("cuecard_knowledge_polls_total")]
    failed = [line for line in polls if 'result="failed"' in line or 'result="refused"' in line]
    if any(float(line.rsplit(" ", 1)[1]) for line in failed):
        sys.exit(f"a poll went wrong: {failed}")
    return sum(float(line.rsplit(" ", 1)[1]) for line in polls)


def poll(admin):
    """Asks for a poll and waits for its end; gives the span of it."""
    before, start = num_polls(admin), time.monotonic()
    running.send("POST", f"http://127.0.0.1:{admin}/profiles/snippets/refresh")
    while num_polls(admin) == before:
        time.sleep(0.02)
    return start, time.monotonic()


def settings(arguments, base, api, admin):
    text = f"""
[admin]
addr = "127.0.0.1:{admin}"
[api]
addr = "127.0.0.1:{api}"
keys = "off"
[data]
dir = "data-sync"
[encoder]
threads = 1
[profile]
base_url = "http://127.0.0.1:{base}"
index = "sync-index"
poll_interval = "12h"
[profiles.rag]
contract = "rag"
[profiles.snippets]
contract = "snippets"
"""
    (arguments.work / "sync.toml").write_text(text)


def row(name, seconds, before, during):
    ratio = at(during, 0.99) / at(before, 0.99)
    print(f"| {name} | {seconds} | {len(during)} | {at(before, .5):.1f} | {at(during, .5):.1f} "
          f"| {at(before, .99):.1f} | {at(during, .99):.1f} | {ratio:.2f} |", flush=True)


def main():
    parser = running.parser(__doc__)
    parser.add_argument("--changes", type=int, default=12, help="polls that find one changed article")
    parser.add_argument("--calm", type=int, default=20, help="seconds without a poll, before and after")
    arguments = running.started(parser)
    shutil.rmtree("sync-index", ignore_errors=True)
    subprocess.run([arguments.cuecard, "index", "--articles", arguments.articles, "--index", "sync-index"], check=True,
                   stdout=sys.stderr)
    rows = running.read_rows(arguments.articles)
    articles = [{"id": row["id"], "title": row["title"], "body": row["body"]} for row in rows]
    turns = [turn for row in running.read_rows(arguments.conversations) for turn in row["turns"]]
    questions = [turn["text"] for turn in turns if turn["speaker"] == "customer"]
    base, api, admin = running.free_port(), running.free_port(), running.free_port()
    settings(arguments, base, api, admin)
    with running.both(arguments, "sync.toml", base, admin) as cuecard:
        while num_polls(admin) < 1:
            time.sleep(0.1)
        os.sched_setaffinity(0, {int(running.SIMULATOR_CORE)})
        asker = Asker(api, questions)
        asker.start()
        time.sleep(5)
        calm = [(time.monotonic(), time.monotonic() + arguments.calm)]
        time.sleep(arguments.calm)
        changed = []
        for number in range(arguments.changes):
            article = dict(articles[number * 997 % len(articles)])
            article["body"] += f" Changed {number} times."
            identity = article.pop("id")
            running.send("PUT", f"http://127.0.0.1:{base}/_sim/articles/{identity}", article)
            changed.append(poll(admin))
            time.sleep(1)
        calm.append((time.monotonic(), time.monotonic() + arguments.calm))
        time.sleep(arguments.calm)
        for article in articles:
            article["body"] += " This holds until further notice."
        running.send("PUT", f"http://127.0.0.1:{base}/_sim/articles", articles)
        whole = poll(admin)
        calm.append((time.monotonic(), time.monotonic() + arguments.calm))
        time.sleep(arguments.calm)
        asker.ended()
        print("<!-- sync -->")
        print("| poll | seconds | questions during it | p50 ms without | during | p99 ms without | during | ratio |")
        print("|---|---|---|---|---|---|---|---|")
        spans = [end - start for start, end in changed]
        times = f"{statistics.median(spans):.2f} (at most {max(spans):.2f})"
        row(f"1 of {len(articles)} articles changed, {len(spans)} times", times, asker.within(calm), asker.within(changed))
        row(f"all {len(articles)} changed", f"{whole[1] - whole[0]:.1f}", asker.within(calm), asker.within([whole]))
        print(f"peak memory of the service: {running.peak_memory_mb(cuecard):.0f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
