"""Draws dashboards from the answers of a Prometheus, as Grafana would place and colour them, with everything chosen.

Takes the dashboards' JSON and a span of time. Gives NAME.png for each NAME.json. A query that Prometheus refuses ends it; one
that finds nothing leaves its panel empty.
"""

import argparse
import io
import json
import math
import pathlib
import re
import textwrap
import time
import urllib.error
import urllib.parse
import urllib.request

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter
from PIL import Image

COLUMN, LINE = 0.62, 0.33  # inches of one unit of Grafana's grid
DOTS_PER_INCH = 92
COLOURS = {"green": "#56a64b", "yellow": "#e0b400", "orange": "#ff780a", "red": "#e02f44", "blue": "#3274d9"}
LEGENDS = 8  # more find no room
LEGEND_LINES = 1.2  # units of the grid beneath the axes
PALETTE = 48  # colours of a picture: lines on white need no more, and the files stay small


def ask(prometheus, path, **parameters):
    url = f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{parameters['query']}: {json.load(error)['error']}") from error


def filled(expression, span):
    """As Grafana sends it where every variable says All."""
    for name, value in {"$__rate_interval": "4s", "$__range": f"{span:.0f}s"}.items():
        expression = expression.replace(name, value)
    return re.sub(r"\$(job|instance|profile)\b", ".+", expression)


def named(target, labels):
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"]) or "value"


def shown(value, unit):
    if value is None or not math.isfinite(value):
        return "–"
    if unit == "s":
        seconds = [(3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")]
        size, name = next(((size, name) for size, name in seconds if abs(value) >= size), (1, "s"))
        return f"{value / size:.3g} {name}"
    if unit == "bytes":
        size, name = next(((s, n) for s, n in [(2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")] if value >= s), (1, "B"))
        return f"{value / size:.3g} {name}"
    suffix = {"reqps": " /s", "cpm": " /min"}.get(unit, "")
    return f"{value * 100:.3g} %" if unit == "percentunit" else f"{value:.4g}{suffix}"


def colour_of(value, thresholds):
    reached = [step for step in thresholds["steps"] if step["value"] is None or value >= step["value"]]
    return COLOURS.get(reached[-1]["color"], "#333")


class Panel:
    def __init__(self, panel, arguments):
        self.panel, self.arguments = panel, arguments
        self.defaults = panel["fieldConfig"]["defaults"]
        self.unit = self.defaults["unit"]

    def thresholds_of(self, name):
        """Those of the panel, or those that are set for the series of this name alone."""
        for override in self.panel["fieldConfig"]["overrides"]:
            own = [one["value"] for one in override["properties"] if one["id"] == "thresholds"]
            if override["matcher"] == {"id": "byName", "options": name} and own:
                return own[0]
        return self.defaults["thresholds"]

    def series(self):
        """Each series with its name: times in seconds since the start, and values."""
        start, end = self.arguments.start, self.arguments.end
        step = max(0.5, (end - start) / 240)
        for target in self.panel["targets"]:
            query = filled(target["expr"], end - start)
            for one in ask(self.arguments.prometheus, "query_range", query=query, start=start, end=end, step=step):
                times = [at - start for at, _ in one["values"]]
                yield named(target, one["metric"]), times, [float(value) for _, value in one["values"]]

    def draw(self, axes):
        axes.set_title(self.panel["title"], fontsize=8, loc="left", fontweight="bold", pad=4)
        axes.tick_params(labelsize=6, length=2)
        for side in ["top", "right"]:
            axes.spines[side].set_visible(False)
        kind = {"timeseries": self.lines, "stat": self.numbers, "state-timeline": self.states, "bargauge": self.bars}
        if kind[self.panel["type"]](axes) is False:
            axes.text(0.5, 0.5, "no data", ha="center", va="center", transform=axes.transAxes, fontsize=8, color="#999")

    def lines(self, axes):
        series = [(name, times, values) for name, times, values in self.series()]
        if not any(math.isfinite(value) for _, _, values in series for value in values):
            axes.set_axis_off()
            return False
        # Those that never move would fill the legend.
        series.sort(key=lambda one: -max((v for v in one[2] if math.isfinite(v)), default=0))
        custom = self.defaults.get("custom", {})
        if "stacking" in custom:
            self.stack(axes, series)
        else:
            for name, times, values in series:
                axes.plot(times, values, linewidth=0.9, label=textwrap.shorten(name, 40))
        top = axes.get_ylim()[1]
        if custom.get("thresholdsStyle", {}).get("mode") == "line":
            for step in self.defaults["thresholds"]["steps"][1:]:
                if step["value"] <= 3 * top:
                    axes.axhline(step["value"], color=COLOURS[step["color"]], linewidth=0.7, linestyle="--")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, self.unit)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} s"))
        axes.grid(linewidth=0.3)
        handles, names = axes.get_legend_handles_labels()
        # Beneath the numbers of the axis, where it hides no line.
        axes.legend(handles[:LEGENDS], names[:LEGENDS], fontsize=5, ncols=max(2, self.panel["gridPos"]["w"] // 4), frameon=False,
                    loc="upper left", bbox_to_anchor=(-0.02, -0.12), borderpad=0, labelspacing=0.3)
        return True

    def stack(self, axes, series):
        times = sorted({at for _, times, _ in series for at in times})
        rows = []
        for _, at, values in series:
            known = {time: value for time, value in zip(at, values) if math.isfinite(value)}
            rows.append([known.get(time, 0) for time in times])
        axes.stackplot(times, rows, labels=[textwrap.shorten(name, 40) for name, _, _ in series], alpha=0.75)

    def numbers(self, axes):
        axes.set_axis_off()
        last = [(name, next((v for v in reversed(values) if math.isfinite(v)), None)) for name, _, values in self.series()]
        if self.panel["options"]["textMode"] == "name":
            axes.text(0.5, 0.5, "\n".join(sorted({name for name, _ in last})), ha="center", va="center", fontsize=6)
            return bool(last)
        known = [(name, value) for name, value in last if value is not None]
        if len(known) > self.panel["gridPos"]["w"] // 2:
            self.rows(axes, known)
            return True
        for place, (name, value) in enumerate(known):
            x = (place + 0.5) / len(known)
            axes.text(x, 0.55, shown(value, self.unit), ha="center", va="center", fontsize=7 if len(known) > 3 else 14,
                      color=colour_of(value, self.thresholds_of(name)), fontweight="bold")
            axes.text(x, 0.15, textwrap.shorten(name, 24), ha="center", va="center", fontsize=6, color="#555")
        return bool(known)

    def rows(self, axes, known):
        """Numbers below one another, where the panel is too narrow for so many beside one another."""
        for place, (name, value) in enumerate(known):
            y = 1 - (place + 0.5) / len(known)
            axes.text(0.45, y, textwrap.shorten(name, 24), ha="right", va="center", fontsize=6, color="#555")
            axes.text(0.5, y, shown(value, self.unit), va="center", fontsize=7, color=colour_of(value, self.thresholds_of(name)),
                      fontweight="bold")

    def states(self, axes):
        rows = sorted(self.series())
        if not rows:
            axes.set_axis_off()
            return False
        names = {int(value): state for value, state in self.defaults["mappings"][0]["options"].items()}
        # Of many rows those that are always well are left out.
        moving = [row for row in rows if any(row[2])] or rows
        rows = (rows if len(rows) <= 12 else moving)[:16]
        for place, (_, times, values) in enumerate(rows):
            for at, after, value in zip(times, times[1:], values):
                axes.barh(place, after - at, left=at, height=0.8, color=COLOURS[names[int(value)]["color"]], linewidth=0)
        axes.set_yticks(range(len(rows)), [textwrap.shorten(name, 32) for name, _, _ in rows], fontsize=5)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} s"))
        return True

    def bars(self, axes):
        target = self.panel["targets"][0]
        query = filled(target["expr"], self.arguments.end - self.arguments.start)
        found = ask(self.arguments.prometheus, "query", query=query, time=self.arguments.end)
        counts = sorted((float(one["metric"]["le"]), float(one["value"][1])) for one in found)
        # Prometheus' buckets are cumulative.
        single = [(le, count - (counts[place - 1][1] if place else 0)) for place, (le, count) in enumerate(counts)]
        if not any(count > 0 for _, count in single):
            axes.set_axis_off()
            return False
        axes.barh([f"{le:g}" for le, _ in single], [count for _, count in single], color=COLOURS["blue"])
        return True


def draw(file, arguments):
    dashboard = json.loads(file.read_text())
    panels = dashboard["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(24 * COLUMN, (height + 1) * LINE), dpi=DOTS_PER_INCH)
    figure.text(0.01, 1 - 0.5 / (height + 1), dashboard["title"], fontsize=12, fontweight="bold", va="center")
    for panel in panels:
        place = panel["gridPos"]
        left, width = place["x"] / 24, place["w"] / 24
        bottom, high = 1 - (place["y"] + place["h"] + 1) / (height + 1), place["h"] / (height + 1)
        if panel["type"] == "row":
            figure.text(0.01, bottom + high / 2, panel["title"], fontsize=9, va="center", color="#3274d9")
            continue
        # Room for the numbers beside and below the axes.
        inner = [left + 0.033, bottom + 0.9 / (height + 1), width - 0.043, high - 1.9 / (height + 1)]
        if panel["type"] == "timeseries":
            # And for the legend beneath them.
            inner[1], inner[3] = inner[1] + LEGEND_LINES / (height + 1), inner[3] - LEGEND_LINES / (height + 1)
        if panel["type"] == "state-timeline":
            inner[0], inner[2] = inner[0] + 0.05, inner[2] - 0.05
        Panel(panel, arguments).draw(figure.add_axes(inner))
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    plt.close(figure)
    picture = Image.open(drawn).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE)
    to = arguments.out / f"{file.stem}.png"
    picture.save(to, optimize=True)
    print(f"{to}: {to.stat().st_size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dashboards", type=pathlib.Path, required=True)
    parser.add_argument("--prometheus", required=True, help="its address, as http://127.0.0.1:9090")
    parser.add_argument("--from", dest="start", type=float, required=True)
    parser.add_argument("--to", dest="end", type=float, default=time.time())
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for file in sorted(arguments.dashboards.glob("*.json")):
        draw(file, arguments)


if __name__ == "__main__":
    main()
