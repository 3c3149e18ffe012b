"""Draws what Prometheus answered in the grid of the dashboard."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import FancyBboxPatch  # noqa: E402
from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: E402

Panel = dict[str, Any]
# One answer of Prometheus for each target of a panel.
Answers = list[list[dict[str, Any]]]

PAGE, CARD, EDGE, INK, FAINT = "#f3f4f6", "#ffffff", "#dfe3e8", "#1f2933", "#66727f"
NAMED = {"green": "#2f9e57", "orange": "#e08a1e", "red": "#d13a3a", "blue": "#2f6fbd"}
# What is well is green, and nothing else is.
MEANT = {"ProvenAndWritten": "#2f9e57", "S3 answered": "#2f9e57", "written": "#2f9e57"}
SERIES = ["#2f6fbd", "#e08a1e", "#d13a3a", "#8a5cc2", "#1a9aa8", "#7a8794", "#c2539a", "#b8651b", "#3b4cc0"]

UNIT, ROW, GAP, HEAD = 62, 40, 9, 60  # pixels: a column and a row of the grid, between panels, above them
DPI = 100


def duration(seconds: float) -> str:
    if seconds >= 2 * 86400:
        return f"{seconds / 86400:.0f} days"
    if seconds >= 60:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{seconds:.0f} s" if seconds >= 1 or seconds == 0 else f"{seconds * 1000:.0f} ms"


def short(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.2g}"


UNITS: dict[str, Callable[[float], str]] = {
    "short": short,
    "none": short,
    "s": duration,
    "percentunit": lambda value: f"{value * 100:.0f}%" if value >= 0.1 or value == 0 else f"{value * 100:.1f}%",
    # Drawn in MiB, so that its ticks are round.
    "bytes": lambda value: f"{value:.0f} MiB",
    "opm": lambda value: f"{short(value)}/min",
    "ops": lambda value: f"{short(value)}/s",
    "reqps": lambda value: f"{short(value)}/s",
}


def legend(target: dict[str, Any], labels: dict[str, str]) -> str:
    written = re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), target.get("legendFormat", ""))
    return written.strip() or ", ".join(labels.values())


def color_at(panel: Panel, value: float) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    if "thresholds" not in defaults:
        return NAMED[defaults.get("color", {}).get("fixedColor", "blue")]
    steps = defaults["thresholds"]["steps"]
    return NAMED[[step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]]


def stat(axes: Axes, panel: Panel, answers: Answers, _: tuple[float, float]) -> None:
    axes.axis("off")
    value = float(answers[0][0]["value"][1]) if answers[0] else float("nan")
    told = UNITS[panel["fieldConfig"]["defaults"]["unit"]](value) if value == value else "no data"
    axes.text(0.5, 0.42, told, ha="center", va="center", fontsize=25, weight="bold", color=color_at(panel, value))


def table(axes: Axes, panel: Panel, answers: Answers, _: tuple[float, float]) -> None:
    axes.axis("off")
    [organized] = [step["options"] for step in panel["transformations"] if step["id"] == "organize"]
    order = organized["indexByName"]
    rows = [row["metric"] for row in answers[0]]
    columns = [name for name in sorted(order, key=order.get) if any(name in row for row in rows)]
    for number, row in enumerate([{name: name for name in columns}, *rows]):
        y = 0.93 - number * 0.115
        for place, name in enumerate(columns):
            style = {"weight": "bold", "color": FAINT} if number == 0 else {"color": INK}
            axes.text(0.01 + place / len(columns), y, row.get(name, ""), fontsize=9.5, va="center", **style)
        axes.axhline(y - 0.0575, color=EDGE, linewidth=0.8)
    axes.set(xlim=(0, 1), ylim=(0, 1))


def bargauge(axes: Axes, panel: Panel, answers: Answers, _: tuple[float, float]) -> None:
    [target] = panel["targets"]
    rows = [(legend(target, row["metric"]), float(row["value"][1])) for row in answers[0]][::-1]
    names, values = [name for name, _ in rows], [value for _, value in rows]
    axes.barh(names, values, color=[color_at(panel, value) for value in values], height=0.62)
    unit = UNITS[panel["fieldConfig"]["defaults"]["unit"]]
    for number, value in enumerate(values):
        axes.text(value, number, f"  {unit(value)}", va="center", fontsize=8.5, color=INK)
    axes.set_xlim(0, max(values, default=1) * 1.22)
    axes.tick_params(length=0, labelsize=8.5, colors=FAINT)
    axes.xaxis.set_visible(False)
    axes.spines[:].set_visible(False)


def timeseries(axes: Axes, panel: Panel, answers: Answers, span: tuple[float, float]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    began, ended = span
    times = [began + second for second in range(int(ended - began) + 1)]
    lines: list[tuple[str, list[float]]] = []
    for target, result in zip(panel["targets"], answers, strict=True):
        for series in result:
            scale = 2**20 if defaults["unit"] == "bytes" else 1
            at = {round(float(time) - began): float(value) / scale for time, value in series["values"]}
            lines.append((legend(target, series["metric"]), [at.get(second, float("nan")) for second in range(len(times))]))
    # What never was above zero would only take room in the legend.
    lines = [line for line in lines if any(value > 0 for value in line[1])] or lines
    # What is well is at the bottom of a stack.
    lines.sort(key=lambda line: line[0] not in MEANT)
    seconds = [time - began for time in times]
    free = itertools.cycle(SERIES)
    bottom = [0.0] * len(times)
    for name, values in lines:
        color = MEANT.get(name) or next(free)
        if "stacking" in custom:
            top = [low + (value if value == value else 0.0) for low, value in zip(bottom, values)]
            axes.fill_between(seconds, bottom, top, color=color, alpha=0.55, linewidth=0, label=name, step="post")
            bottom = top
        else:
            style = "steps-post" if custom.get("lineInterpolation") == "stepAfter" else "default"
            axes.plot(seconds, values, color=color, linewidth=1.5, label=name, drawstyle=style)
            if "fillOpacity" in custom:
                axes.fill_between(seconds, values, color=color, alpha=custom["fillOpacity"] / 150, linewidth=0)
    unit = UNITS[defaults["unit"]]
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=defaults.get("decimals") == 0))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: unit(value)))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{int(at) // 60}:{int(at) % 60:02d}"))
    axes.set_xlim(0, ended - began)
    axes.set_ylim(defaults.get("min"), defaults["max"] * 1.1 if "max" in defaults else None)
    axes.set_axisbelow(True)
    axes.grid(color=EDGE, linewidth=0.7)
    axes.tick_params(length=0, labelsize=8, colors=FAINT)
    axes.spines[:].set_visible(False)
    columns = 3 if panel["gridPos"]["w"] < 12 else 4
    if any(len(name) > 24 for name, _ in lines):
        columns -= 1
    axes.legend(
        loc="upper left", bbox_to_anchor=(-0.02, -0.1), ncols=columns, fontsize=7.5, frameon=False, labelcolor=INK,
        handlelength=1.1, columnspacing=1.2, handletextpad=0.5, borderaxespad=0.2,
    )  # fmt: skip


KINDS = {"stat": stat, "table": table, "bargauge": bargauge, "timeseries": timeseries}


def draw(panels: list[Panel], data: dict[str, Any], picture: Path) -> None:
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    width, height = 24 * UNIT + GAP, rows * ROW + HEAD + GAP
    plt.rcParams["font.family"] = ["DejaVu Sans"]
    figure = plt.figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAGE)
    title = {"va": "center", "color": INK}
    figure.text(18 / width, 1 - HEAD / 2 / height, "registry-sts", fontsize=17, weight="bold", **title)
    note = "a run of three minutes, scraped each second; drawn from dashboard.json, not by Grafana"
    figure.text(1 - 18 / width, 1 - HEAD / 2 / height, note, fontsize=9, ha="right", va="center", color=FAINT)
    for panel in panels:
        place = panel["gridPos"]
        left, top = place["x"] * UNIT + GAP, HEAD + place["y"] * ROW
        card(figure, (left, height - top - place["h"] * ROW + GAP, place["w"] * UNIT - GAP, place["h"] * ROW - GAP), panel, data)
    figure.savefig(picture, facecolor=PAGE, metadata={"Software": None})
    plt.close(figure)


def card(figure: Figure, box: tuple[float, float, float, float], panel: Panel, data: dict[str, Any]) -> None:
    """One panel, at a place in pixels from below."""
    left, bottom, wide, high = box
    width, height = figure.get_size_inches() * DPI
    figure.add_artist(
        FancyBboxPatch(
            (left / width, bottom / height), wide / width, high / height, boxstyle="round,pad=0,rounding_size=0.002",
            mutation_aspect=width / height, facecolor=CARD, edgecolor=EDGE, linewidth=0.9, transform=figure.transFigure,
            zorder=-1,
        )
    )  # fmt: skip
    figure.text(
        (left + 12) / width, (bottom + high - 17) / height, panel["title"],
        fontsize=10, weight="bold", color=INK, va="center",
    )  # fmt: skip
    # Room for the axes' numbers, and for the legend below them.
    inner = {"stat": (10, 6, 20, 36), "table": (12, 8, 24, 36), "bargauge": (150, 12, 162, 44)}
    before, below, across, in_all = inner.get(panel["type"], (58, 66, 74, 100))
    axes = figure.add_axes((
        (left + before) / width, (bottom + below) / height, (wide - across) / width, (high - in_all) / height
    ), facecolor=CARD)  # fmt: skip
    KINDS[panel["type"]](axes, panel, data["answers"][str(panel["id"])], (data["began"], data["ended"]))
