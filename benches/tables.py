#!/usr/bin/env python3
"""Runs the benchmarks and writes their tables into docs/; all of them with a description of the machine.

A benchmark prints a table behind a line `<!-- NAME -->`, and takes the place of the one behind the same line of a document.
Everything takes some hours; name the benchmarks that are wanted. Needs `make build`, and for graph a Neo4j
(`eval "$(scripts/services start)"`).

    python3 benches/tables.py --data ../shared/data --work /tmp/bench question ledger
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "docs" / f"{name}.md" for name in ("benchmarks", "monitoring", "operations", "ranking", "reliability")]
CUECARD = ROOT / "bin" / "cuecard"

# The rankers that articles are found by, each with the turns that it reads.
RANKERS = [(name, window) for window in ("1", "3") for name in ("snippets", "snippets-words", "cosine", "bm25")]
RANKERS.append(("conversation", "all"))


class Bench:
    """Where the data are, where what is made of them goes, and how programs are run."""

    def __init__(self, data, work):
        self.data, self.work, self.faults = data, work, data.parent / "faults"
        work.mkdir(parents=True, exist_ok=True)

    def run(self, *command, env=None):
        print("$", " ".join(map(str, command)), file=sys.stderr, flush=True)
        environment = {**os.environ, **(env or {})}
        return subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def cargo(self, room, bench, *arguments, core=None):
        pinned = [] if core is None else ["taskset", "-c", core]
        return self.run(*pinned, "cargo", "bench", "--profile", "release", "-p", room, "--bench", bench, "--",
                        *arguments)

    def set(self, name, part):
        return self.data / name / f"{part}.jsonl.gz"

    def index(self, name):
        """Made once; a second benchmark finds it."""
        directory = self.work / f"index-{name}"
        self.run(CUECARD, "index", "--articles", self.set(name, "kb"), "--index", directory)
        return directory

    def eval(self, *arguments, **settings):
        env = {f"CUECARD__PROFILE__{name.upper()}": value for name, value in settings.items()}
        return json.loads(self.run(CUECARD, "eval", "--json", *arguments, env=env))

    def seeking(self, name, *arguments, **settings):
        return self.eval("--index", self.index(name), "--conversations", self.set(name, "seeking"), *arguments,
                         **settings)


def table(name, header, rows):
    def line(cells):
        return "| " + " | ".join(map(str, cells)) + " |"

    return "\n".join([f"<!-- {name} -->", line(header), "|---" * len(header) + "|", *map(line, rows)]) + "\n"


def figures(report):
    """As people write them: a share without its 0."""
    return [f"{report[key]:.3f}".lstrip("0") for key in ("mrr_at_5", "recall_at_1", "recall_at_5")]


def of_criterion(name, text):
    """The middle of what criterion says, for each measurement."""
    found = re.findall(r"(?m)^(\S.*?)\s*\n?\s+time:\s+\[[\d.]+ \S+ ([\d.]+) (\S+)", text)
    return table(name, ["", "time"], [[what, f"{float(time):.3g} {unit}"] for what, time, unit in found])


def ranking(bench):
    rows = []
    for ranker, window in RANKERS:
        report = bench.seeking("dstc9", "--ranker", ranker, "--window", window)
        rows.append([ranker, window, *figures(report), f"{report['p50_ms']:.1f}", f"{report['p95_ms']:.1f}"])
    return table("ranking", ["ranker", "window", "MRR@5", "R@1", "R@5", "p50 ms", "p95 ms"], rows)


def learned(bench):
    quiet = ["--quiet", bench.set("dstc9", "chitchat"), "--at-shown", ".9"]
    ways = [("cosine, last three turns", ["--ranker", "cosine"]), ("conversation", ["--ranker", "conversation"]),
            ("learned, five-fold", ["--ranker", "conversation", "--folds", "5"])]
    rows, silence = [], []
    for way, arguments in ways:
        reports = [bench.seeking("dstc9", *arguments, *quiet), bench.seeking("doc2dial", *arguments)]
        rows.append([way, *("/".join(figures(report)) for report in reports)])
        silence.append([way, f"{reports[0]['at_shown']['false_push_rate']:.4f}"])
    return (table("learned", ["", "dstc9, 790", "doc2dial, 1,040"], rows)
            + table("silence", ["judged by", "false pushes where 90 % of the wanted cards are shown"], silence[1:]))


def demo(bench):
    directory, rows = bench.work / "index-demo", []
    bench.run(CUECARD, "index", "--articles", "demo/articles.jsonl", "--index", directory)
    calls = {"calls up to their question": ["conversations.jsonl", "--quiet", "demo/{half}quiet.jsonl"],
             "whole calls": ["whole_calls.jsonl"]}
    for half in ("", "heldback/"):
        for kind, (file, *quiet) in calls.items():
            for selectivity in ("low", "medium", "high"):
                turns = bench.eval("--index", directory, "--conversations", f"demo/{half}{file}", *(part.format(half=half) for part in quiet),
                                   "--every-turn", selectivity=selectivity)["every_turn"]
                keys = ("helpful_share", "unhelpful_per_conversation", "right_at_question")
                which = f"{kind}, {'held back' if half else 'open'}"
                rows.append([which, f"`{selectivity}`", *(f"{turns[key]:.2f}".lstrip("0") for key in keys)])
    header = ["the demo's", "", "helpful share of pushes", "wrong or noise, for each call", "right at the question"]
    return table("demo", header, rows)


def codes(bench):
    rows = []
    for ranker in ("conversation", "bm25", "cosine"):
        report = bench.eval("--articles", bench.faults / "codes.jsonl", "--conversations",
                            bench.faults / "codes-conversations.jsonl", "--ranker", ranker)
        rows.append([ranker, *figures(report)])
    return table("codes", ["ranker", "MRR@5", "R@1", "R@5"], rows)


def effort(bench):
    rows = []
    for level in ("full", "newest_turn", "lexical_only"):
        reports = [bench.seeking(name, "--ranker", "conversation", "--effort", level) for name in ("dstc9", "doc2dial")]
        rows.append([f"`{level}`", *("/".join(figures(report)) for report in reports)])
    return table("effort", ["", "dstc9", "doc2dial"], rows)


def keyword_cosine(bench):
    return bench.run("cargo", "run", "--release", "-p", "cuecard-engine", "--example", "keyword_cosine", "--",
                     *(bench.set("dstc9", part) for part in ("kb", "seeking", "chitchat")))


def contracts(bench):
    return bench.run(sys.executable, "benches/contracts.py", "--articles", bench.set("dstc9", "kb"), "--conversations",
                     bench.set("dstc9", "seeking"), "--work", bench.work / "contracts")


def sync(bench):
    return bench.run(sys.executable, "benches/sync.py", "--articles", bench.set("dstc9", "kb"), "--conversations",
                     bench.set("dstc9", "seeking"), "--work", bench.work / "sync")


def sizing(bench):
    return bench.run(sys.executable, "benches/sizing.py", "--articles", bench.set("dstc9", "kb"), "--conversations",
                     bench.set("dstc9", "seeking"), "--work", bench.work / "sizing")


def scrape(bench):
    return bench.run(sys.executable, "benches/scrape.py", "--articles", ROOT / "demo" / "articles.jsonl", "--conversations",
                     ROOT / "demo" / "conversations.jsonl", "--work", bench.work / "scrape")


def observation(bench):
    return bench.run(sys.executable, "benches/observation.py", "--articles", bench.set("dstc9", "kb"), "--conversations",
                     bench.set("dstc9", "seeking"), "--work", bench.work / "observation")


def night(part):
    def measure(bench):
        return bench.run(sys.executable, "benches/night.py", part, "--articles", bench.set("dstc9", "kb"),
                         "--conversations", bench.set("dstc9", "seeking"), "--work", bench.work / "night")

    return measure


def question(bench):
    return bench.cargo("cuecard-engine", "question", bench.index("dstc9"), bench.set("dstc9", "seeking"))


def learning_curve(bench):
    return "\n".join(bench.cargo("cuecard-trainer", "learning_curve", name, bench.index(name), bench.set(name, "seeking"))
                     for name in ("dstc9", "doc2dial"))


def graph(bench):
    measured = [bench.cargo("cuecard-knowledge", name, core="1") for name in ("graph", "keywords")]
    return of_criterion("graph", "\n".join(measured))


BENCHMARKS = {
    "ranking": ranking,
    "learned": learned,
    "learning-curve": learning_curve,
    "demo": demo,
    "effort": effort,
    "codes": codes,
    "question": question,
    "odd-words": lambda bench: bench.cargo("cuecard-engine", "odd_words"),
    "keyword-cosine": keyword_cosine,
    "decision": lambda bench: of_criterion("decision", bench.cargo("cuecard", "decision")),
    "contracts": contracts,
    "sync": sync,
    "sizing": sizing,
    "scrape": scrape,
    "observation": observation,
    **{part: night(part) for part in ("overload", "tenants", "outage", "decisions", "start")},
    "nearest": lambda bench: of_criterion("nearest", bench.cargo("cuecard-knowledge", "nearest")),
    "retrieval": lambda bench: bench.cargo("cuecard-knowledge", "retrieval", bench.index("dstc9"), core="1"),
    "large": lambda bench: bench.cargo("cuecard-knowledge", "large", bench.set("bigkb", "articles")),
    "encoder": lambda bench: bench.cargo("cuecard-encoder", "latency", core="1"),
    "graph": graph,
    "ledger": lambda bench: bench.cargo("cuecard-ledger", "rankings", core="0"),
    "simulator": lambda bench: bench.cargo("cuecard-simulator", "throughput", "--articles", bench.set("dstc9", "kb"),
                                           core="1"),
}


def machine():
    """What a reader must know to compare figures with their own."""
    processors = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")]
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    vectors = "AVX-512 VNNI" if "avx512_vnni" in flags else "AVX2" if "avx2" in flags else "neither AVX2 nor AVX-512"
    processor = processors[0] if processors else platform.machine()
    today = datetime.date.today().strftime("%B %Y")
    return table("machine", ["processor", "cores", "vectors", "memory", "system", "measured"],
                 [[processor, os.cpu_count(), vectors, f"{memory:.0f} GiB", platform.system(), today]])


def blocks(text):
    """Each table that stands behind a line with its name."""
    return dict(re.findall(r"(?m)^<!-- (.+?) -->\n\n?((?:\|.*\n)+)", text))


def write(printed):
    """Puts each table in its place; says which have none."""
    for name, lines in blocks(printed).items():
        place = re.compile(rf"(?m)^(<!-- {re.escape(name)} -->\n\n?)(?:\|.*\n)+")
        holding = [document for document in DOCUMENTS if place.search(document.read_text())]
        for document in holding:
            document.write_text(place.sub(lambda found, lines=lines: found[1] + lines, document.read_text()))
        said = ", ".join(document.name for document in holding) or "no document has a place for it"
        print(f"{name}: {said}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="for indexes and what the benchmarks leave")
    parser.add_argument("benchmarks", nargs="*", help=f"all, or some of {', '.join(BENCHMARKS)}")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.benchmarks if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    if not CUECARD.exists():
        parser.error("run `make build` first")
    bench = Bench(arguments.data.resolve(), arguments.work.resolve())
    if not arguments.benchmarks:
        # Tables of another machine beside its own would be taken for its own.
        write(machine())
    for name in arguments.benchmarks or BENCHMARKS:
        write(BENCHMARKS[name](bench))


if __name__ == "__main__":
    main()
