"""Pages of measured numbers: small matrices, whose cells link to the rows that they are the mean of, and all rows.

`matrices_page` makes results.md, `rows_page` results_rows.md beside it, both of the rows of a results.csv.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runs.results import ENCODERS, METRICS, read_results_csv
from ..utils.files import write_atomically
from .markdown import markdown_table, per_cent, words

ROWS_PAGE = "results_rows.md"
BEGIN, END = "<!-- matrices -->", "<!-- end of the matrices -->"
STARTS = {"new": "new weights", "noise": "noise", "scrambled": "scrambled photographs", "photographs": "photographs"}
_PRETRAININGS = {"none": "none", "open": "open sets"}
_STREAMS = ("joint", "bone", "motion", "joint_motion", "bone_motion", "fused")
_FIRST = ("raw_joints", "untrained", "scratch", "mae", "mae_others", "mae_universal", "diffmae", "diffmae_universal")
_GRAPH_NETWORKS = ("stgcn", "ctrgcn", "ctr_gcn")
_ENCODERS = {"raw_joints": "raw joints", "untrained": "new weights", "pretrained": "pretrained"}
_EPOCHS = r"(?:_(?P<epochs>\d+_epochs))?"
_TUNED = re.compile(
    rf"fine_tune(?:_(?P<stream>{'|'.join(_STREAMS[1:-1])}))?{_EPOCHS}|(?P<fused>fusion){_EPOCHS.replace('epochs>', 'of>')}"
)
_DAMAGED = re.compile(r"(?P<setting>.+)_(?P<damage>drop_\w+?|crop_\w+?)_(?P<share>\d+)_(?P<how>\w+)")
_ACROSS = re.compile(r"(?P<setting>linear_probe|knn)_(?P<train>\w+)_to_(?P<test>\w+)")


@dataclass(frozen=True)
class Measured:
    """What one method reached in one setting: the values of its seeds, shares from 0 to 1."""

    protocol: str
    method: str
    setting: str
    encoder: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.mean(self.values)

    @property
    def anchor(self) -> str:
        """The heading of its rows, of letters that every viewer takes for an anchor as they are."""
        return re.sub(r"[^a-z0-9_]+", "-", f"{self.protocol}-{self.method}-{self.setting}".lower())

    def linked(self, best: bool = False) -> str:
        """Mean, and of several seeds its standard error and their number, as a link."""
        shown = f"**{self}**" if best else str(self)
        return f"[{shown}]({ROWS_PAGE}#{self.anchor})"

    def __str__(self) -> str:
        if len(self.values) == 1:
            return per_cent(self.mean)
        return f"{per_cent(self.mean)} ± {per_cent(standard_error(self.values))} ({len(self.values)})"

    @property
    def is_graph_network(self) -> bool:
        return self.setting.startswith("supervised") or self.method.startswith(_GRAPH_NETWORKS)


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of two values or more: s / sqrt(n)."""
    return statistics.stdev(values) / math.sqrt(len(values))


def measured(rows: Iterable[Mapping[str, Any]], metric: str = "top1") -> list[Measured]:
    """Rows of results as one entry for each protocol, method, setting and encoder, in the order they come in."""
    values: dict[tuple[str, str, str, str], list[float]] = {}
    for row in rows:
        if row["metric"] == metric:
            protocol = f"{row['dataset']}_{row['protocol']}"
            key = protocol, str(row["method"]), str(row["setting"]), str(row["encoder"])
            values.setdefault(key, []).append(float(row["value"]))
    return [Measured(*key, tuple(found)) for key, found in values.items()]


# --- matrices ---------------------------------------------------------------------------------------------------------

Entry = tuple[tuple[str, ...], str, Measured]  # labels of the row, label of the column, what stands there


def matrix(
    corner: Sequence[str],
    entries: Iterable[Entry],
    columns: Sequence[str] = (),
    bold: str = "",
    by: Callable[..., Any] | None = None,
) -> str:
    """A Markdown table with the rows and columns that have something; of several entries at one place the best is shown.

    Args:
        corner: Header of the labels of the rows.
        columns: Which come first, in this order; the others as they come.
        bold: What is the best of its "row" or "column" is in bold; "" for nothing.
        by: Sorts the rows by their labels.
    """
    cells: dict[tuple[tuple[str, ...], str], Measured] = {}
    for labels, column, one in entries:
        before = cells.get((labels, column))
        cells[labels, column] = one if before is None or one.mean > before.mean else before
    lines = list(dict.fromkeys(labels for labels, _ in cells))
    if by is not None:
        lines.sort(key=by)
    found = dict.fromkeys(column for _, column in cells)
    shown = [column for column in columns if column in found] + [column for column in found if column not in columns]
    most: dict[object, float] = {}
    for (labels, column), one in cells.items():
        place = labels if bold == "row" else column
        most[place] = max(one.mean, most.get(place, 0.0))

    def text(labels: tuple[str, ...], column: str) -> str:
        one = cells.get((labels, column))
        if one is None:
            return ""
        return one.linked(bool(bold) and one.mean == most[labels if bold == "row" else column])

    return markdown_table(
        (*corner, *shown), [(*labels, *(text(labels, column) for column in shown)) for labels in lines]
    )


def _place(names: Sequence[str]) -> Callable[[str], int]:
    """Where a name stands among those that are known; the others come after them."""
    return lambda name: names.index(name) if name in names else len(names)


def _setting(one: Measured) -> str:
    """The setting as a column says it, without its epochs; "" for those that have matrices of their own."""
    if share := re.fullmatch(r"(?:semi|supervised)_(\d+)", one.setting):
        return f"{share[1]} % of the labels"
    tuned = _TUNED.fullmatch(one.setting)
    if one.setting == "supervised" or (tuned and not tuned["stream"] and not tuned["fused"]):
        return "all labels"
    return (
        words(one.setting)
        if one.setting in ("linear_probe", "knn")
        else "fused streams"
        if tuned and tuned["fused"]
        else ""
    )


def _order_of_settings(name: str) -> tuple[int, int]:
    share = re.match(r"\d+", name)
    known = ("linear probe", "kNN", "", "all labels", "fused streams")
    return known.index("" if share else name), int(share[0]) if share else 0


def _start(one: Measured) -> tuple[str, str] | None:
    """(start, pretraining) in words of a method named START+PRETRAINING or START.PART+PRETRAINING, see `benchmarks/vision_weights.py`."""
    named, _, pretraining = one.method.partition("+")
    start, _, part = named.partition(".")
    if not pretraining or start not in STARTS:
        return None
    return STARTS[start] + (f", {words(part)}" if part else ""), _PRETRAININGS.get(pretraining, words(pretraining))


def _best(found: Sequence[Measured]) -> str:
    entries: list[Entry] = []
    for one in found:
        who = "graph network" if one.is_graph_network else _ENCODERS[one.encoder]
        if setting := _setting(one):
            entries.append(((setting, who), one.protocol, one))
    who_of, protocols = _place([*_ENCODERS.values()]), [one.protocol for one in found]
    columns = sorted(dict.fromkeys(protocols), key=lambda protocol: -protocols.count(protocol))
    return matrix(
        ("setting", "start"), entries, columns, by=lambda labels: (_order_of_settings(labels[0]), who_of(labels[1]))
    )


def _starts(found: Sequence[Measured]) -> Iterable[tuple[str, str]]:
    """A title and a matrix for each protocol that was tried from several starts."""
    for protocol in dict.fromkeys(one.protocol for one in found if _start(one)):
        entries: list[Entry] = []
        for one in found:
            if one.protocol == protocol and (pair := _start(one)) and one.encoder != "raw_joints":
                entries.append((pair, _setting(one) or words(one.setting), one))
        columns = sorted({column for _, column, one in entries if _setting(one)}, key=_order_of_settings)
        yield protocol, matrix(("start", "skeleton pretraining"), entries, columns, "column", _order_of_starts)


def _order_of_starts(labels: tuple[str, ...]) -> tuple[int, int]:
    return _place([*_PRETRAININGS.values()])(labels[1]), _place([*STARTS.values()])(labels[0].partition(",")[0])


def _methods(found: Sequence[Measured]) -> Iterable[tuple[str, str]]:
    """A title and a matrix, method x protocol, for each setting."""
    entries: dict[str, list[Entry]] = {}
    for one in found:
        if (setting := _setting(one)) and not _start(one) and setting != "fused streams":
            tuned = _TUNED.fullmatch(one.setting)
            epochs = f", {words(tuned['epochs'])}" if tuned and tuned["epochs"] else ""
            name = words(one.method)
            if one.encoder != "pretrained" and one.method not in _FIRST[:3] and not one.is_graph_network:
                same = one.method in ("mae", "diffmae") and setting in ("linear probe", "kNN")  # before its first step
                name = words(one.encoder) if same else f"{name}: {_ENCODERS[one.encoder]}"
            entries.setdefault(setting, []).append(((name + epochs,), one.protocol, one))
    protocols = [one.protocol for one in found]
    columns = sorted(dict.fromkeys(protocols), key=lambda protocol: -protocols.count(protocol))
    first = _place([words(name) for name in _FIRST])
    for setting in sorted(entries, key=_order_of_settings):
        last = {labels for labels, _, one in entries[setting] if one.is_graph_network}

        def by(labels: tuple[str, ...], last: set[tuple[str, ...]] = last) -> tuple[bool, int, str]:
            return labels in last, first(labels[0].partition(",")[0].partition(":")[0]), labels[0]

        yield setting, matrix(("method",), entries[setting], columns, "column", by)


def _streams(found: Sequence[Measured]) -> str:
    """A line for each recipe that was tried on other streams than joints alone, or fused."""
    entries: list[Entry] = []
    for one in found:
        if (tuned := _TUNED.fullmatch(one.setting)) and not _start(one):
            stream = "fused" if tuned["fused"] else tuned["stream"] or "joint"
            entries.append(
                ((one.protocol, words(one.method), words(tuned["epochs"] or tuned["of"] or "")), stream, one)
            )
    several = {labels for labels, stream, _ in entries if stream not in ("joint", "fused")}
    shown: list[Entry] = []
    for labels, stream, one in entries:
        alike = [other for other in several if other[:2] == labels[:2]]
        if stream == "fused" and len(alike) == 1:
            shown.append((alike[0], stream, one))  # a fusion does not say how its streams were trained
        elif stream == "fused" or labels in several:
            shown.append((labels, stream, one))
    return matrix(("protocol", "method", "recipe"), shown, _STREAMS, "row")


def _damage(found: Sequence[Measured]) -> str:
    intact = {(one.protocol, one.method, one.encoder, one.setting): one for one in found}
    entries: list[Entry] = []
    for one in found:
        if damaged := _DAMAGED.fullmatch(one.setting):
            kind = f"{words(damaged['damage'])}, {words(damaged['how'])}"
            labels = one.protocol, f"{words(one.method)}, {words(damaged['setting'])}", kind
            if whole := intact.get((one.protocol, one.method, one.encoder, damaged["setting"])):
                entries.append((labels, "0 %", whole))
            entries.append((labels, f"{damaged['share']} %", one))
    columns = sorted({column for _, column, _ in entries}, key=lambda column: int(column.split()[0]))
    return matrix(("protocol", "classifier", "damage"), entries, columns)


def _layouts(found: Sequence[Measured]) -> str:
    entries: list[Entry] = []
    for one in found:
        if across := _ACROSS.fullmatch(one.setting):
            labels = one.protocol, words(across["setting"]), across["train"], across["test"]
        elif elsewhere := re.fullmatch(r"(linear_probe|knn)_(\w+)", one.setting):
            labels = one.protocol, words(elsewhere[1]), f"{elsewhere[2]}, all clips", elsewhere[2]
        else:
            continue
        if not _DAMAGED.fullmatch(one.setting):
            entries.append(((*labels, words(one.method)), _ENCODERS[one.encoder], one))
    return matrix(("protocol", "setting", "fitted on", "tested on", "method"), entries, [*_ENCODERS.values()], "row")


def matrices_page(rows: Iterable[Mapping[str, Any]], metric: str = "top1") -> str:
    """Matrices of what was measured, in per cent of one of `results.METRICS`, as Markdown below headings of level 2 and 3."""
    found = measured(rows, metric)
    sections = [("## Data set x setting, the best known", _best(found))]
    starts, methods = list(_starts(found)), list(_methods(found))
    if starts:
        sections.append(("## Start x setting", "\n\n".join(f"### {name}\n\n{table}" for name, table in starts)))
    if methods:
        sections.append(("## Method x data set", "\n\n".join(f"### {name}\n\n{table}" for name, table in methods)))
    sections += [
        ("## Streams", _streams(found)),
        ("## Lost joints and frames", _damage(found)),
        ("## Joint formats", _layouts(found)),
    ]
    told = "\n".join(table for _, table in sections)
    rest: list[Entry] = [
        ((one.protocol, words(one.method), words(one.setting)), _ENCODERS[one.encoder], one)
        for one in found if f"#{one.anchor})" not in told and not _setting(one)
    ]  # fmt: skip
    sections.append(("## Other settings", matrix(("protocol", "method", "setting"), rest, [*_ENCODERS.values()])))
    return "\n\n".join(
        f"{title}\n\n{table}" for title, table in sections if "\n| --- " in table and table.count("\n") > 1
    )


# --- rows -------------------------------------------------------------------------------------------------------------


def write_pages(csv_path: Path) -> list[Path]:
    """Write results_rows.md beside a results.csv, and the matrices into results.md there, between its two marks if it has them.

    Raises:
        ValueError: the file is not there, has no rows or other columns, or results.md is there without the marks.
    """
    rows = read_results_csv(csv_path)
    if not rows:
        raise ValueError(f"{csv_path} is not there or has no rows; expected a results.csv that a probe has written.")
    page, rows_file = csv_path.with_name("results.md"), csv_path.with_name(ROWS_PAGE)
    text = page.read_text(encoding="utf-8") if page.is_file() else f"# Results\n\n{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has no lines {BEGIN} and {END} to write between; add them or move the file away.")
    write_atomically(page, f"{before}{BEGIN}\n\n{matrices_page(rows)}\n\n{END}{after}")
    write_atomically(rows_file, rows_page(rows))
    return [page, rows_file]


def rows_page(rows: Iterable[Mapping[str, Any]]) -> str:
    """The whole page: all rows, below a heading for each protocol, method and setting; metrics of one measurement side by side."""
    runs: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
    for row in rows:
        one = Measured(f"{row['dataset']}_{row['protocol']}", row["method"], row["setting"], row["encoder"], (0.0,))
        key = str(row["encoder"]), str(row["seed"]), str(row["command"])
        runs.setdefault(one.anchor, {}).setdefault(key, dict(row))[f"of {row['metric']}"] = per_cent(
            float(row["value"])
        )
    header = ("encoder", "seed", "top-1", "top-5", "mean class", "train / test clips", "commit", "hardware", "command")
    sections = [
        "# Every row of results.csv\n\nIn per cent; the matrices are in [results.md](results.md). Both are made of results.csv."
    ]
    for anchor, found in runs.items():
        lines = [
            (
                words(row["encoder"]), row["seed"], *(row.get(f"of {metric}", "") for metric in METRICS),
                f"{row['train_clips']} / {row['test_clips']}", row["commit"], row["hardware"], f"`{row['command']}`",
            )
            for row in found.values()
        ]  # fmt: skip
        ahead = _ahead([row for row in found.values() if f"of {METRICS[0]}" in row])
        sections += [f"## {anchor}\n\n{markdown_table(header, lines)}", *([ahead] if ahead else [])]
    return "\n\n".join(sections) + "\n"


def _ahead(rows: Sequence[Mapping[str, Any]]) -> str:
    """How far the pretrained encoder is ahead of the untrained one, in standard errors of the difference of their means."""
    trained, new = ([float(row[f"of {METRICS[0]}"]) for row in rows if row["encoder"] == name] for name in ENCODERS[:2])
    if len(trained) < 2 or len(new) < 2:
        return ""
    error = math.hypot(standard_error(trained), standard_error(new))
    difference = statistics.mean(trained) - statistics.mean(new)
    return f"Pretrained minus untrained: {difference:.1f}" + (
        f", {difference / error:.1f} standard errors." if error else "."
    )
