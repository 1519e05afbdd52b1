"""The table and the plot of an ablation: accuracy of each variant over seeds, beside the base and the untrained encoder."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub.markdown import markdown_table
from ..hub.tables import mean_and_spread
from ..utils.arguments import several
from ..utils.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .ablation_plan import AblationPlan

Row = Mapping[str, Any]
_NOTE = (
    "Accuracies in per cent: mean and standard deviation over seeds. *Validation* is measured on training subjects held out (where all "
    "test cameras are new, seen by a camera that was not fitted on), by which the classifier's settings were chosen as well; "
    "*untrained* is the same encoder before pretraining. *To the base* is the mean difference over the seeds that both have (a seed "
    "draws the same held-out subjects for all variants), and the same in its standard errors. One row a run is in ablation.csv."
)


def write_report(folder: Path, plan: AblationPlan, rows: Sequence[Row], failed: Sequence[Row]) -> str:
    """Write table.md and plot.png; returns why there is no plot, or ""."""
    write_atomically(folder / "table.md", table(plan, rows, failed))
    if not rows:
        return ""
    from ..visualization.figures import MissingExtra

    try:
        draw(plan, rows, folder / "plot.png")
    except MissingExtra as missing:
        return f"No plot.png: {missing}"
    return ""


def by_variant(plan: AblationPlan, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of each variant of the plan that has some, in the plan's order."""
    found = {variant.name: [row for row in rows if row["variant"] == variant.name] for variant in plan.variants}
    return {name: of_variant for name, of_variant in found.items() if of_variant}


def table(plan: AblationPlan, rows: Sequence[Row], failed: Sequence[Row]) -> str:
    """Markdown: a line for each variant, and a list of what failed."""
    groups = by_variant(plan, rows)
    metric = rows[0]["metric"] if rows else "top1"
    with_test = any(row["test_top1"] != "" for row in rows)
    base = _by_seed(groups.get(plan.variants[0].name, []), f"validation_{metric}")
    header = ["variant", "seeds", f"validation {metric.replace('_', ' ')}", "untrained", "to the base", "in SE"]
    header += ["test", "untrained, test"] if with_test else []
    lines = []
    for name, of_variant in groups.items():
        is_base = name == plan.variants[0].name
        found = _by_seed(of_variant, f"validation_{metric}")
        ahead = [value - base[seed] for seed, value in found.items() if seed in base]
        untrained = _values(of_variant, f"validation_untrained_{metric}")
        cells = [name, str(len(of_variant)), mean_and_spread([*found.values()]), mean_and_spread(untrained)]
        cells += ["", ""] if is_base else [difference(ahead), standard_errors(ahead)]
        if with_test:
            cells += [mean_and_spread(_values(of_variant, f"test{encoder}_{metric}")) for encoder in ("", "_untrained")]
        loss, minutes = (statistics.mean(row[key] for row in of_variant) for key in ("loss", "seconds"))
        lines.append([*cells, f"{loss:.4f}", f"{minutes / 60:.1f}"])
    title = f"# Ablation: {plan.title}, {plan.method} on {_data_name(plan)}"
    parts = [title, markdown_table([*header, "loss", "minutes"], lines), _NOTE]
    if failed:
        reasons = [f"- {row['variant']}, seed {row['seed']}: {row['error']}" for row in failed]
        parts.append("Failed:\n\n" + "\n".join(reasons))
    return "\n\n".join(parts) + "\n"


def _data_name(plan: AblationPlan) -> str:
    return " + ".join(Path(name).name for name in several(plan.base.get("data")))


def _values(rows: Sequence[Row], column: str) -> list[float]:
    return [float(row[column]) for row in rows if row[column] != ""]


def _by_seed(rows: Sequence[Row], column: str) -> dict[int, float]:
    return {row["seed"]: float(row[column]) for row in rows}


def difference(ahead: Sequence[float]) -> str:
    """Mean of the differences to the base, one a seed, in percentage points."""
    return f"{100 * statistics.mean(ahead):+.1f}" if ahead else "not measured"


def standard_errors(ahead: Sequence[float]) -> str:
    """The same in standard errors of the mean of paired differences."""
    if len(ahead) < 2:
        return "not measured"
    error = statistics.stdev(ahead) / math.sqrt(len(ahead))
    return f"{statistics.mean(ahead) / error:+.1f}" if error > 1e-12 else "no spread"


def draw(plan: AblationPlan, rows: Sequence[Row], path: Path) -> Path:
    """Draw the validation accuracy of every variant: each seed a small dot, mean and standard deviation a large one.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    from ..visualization.figures import new_figure, save_figure

    groups = by_variant(plan, rows)
    metric = rows[0]["metric"]
    names = {name: name if len(name) <= 44 else f"{name[:43]}…" for name in groups}
    label_width = 0.35 + 0.072 * max(map(len, names.values()))
    width, height = label_width + 5.6, 0.34 * len(groups) + 1.55
    figure = new_figure(width, height)
    axes = figure.add_axes((label_width / width, 0.62 / height, 5.3 / width, 0.34 * len(groups) / height))
    for place, (name, of_variant) in enumerate(groups.items()):
        is_base = name == plan.variants[0].name
        untrained = [100 * value for value in _values(of_variant, f"validation_untrained_{metric}")]
        values = [100 * value for value in _values(of_variant, f"validation_{metric}")]
        color = "#3a3a3a" if is_base else "#0072B2"
        if is_base:
            axes.axvline(statistics.mean(values), color="#3a3a3a", lw=0.9, ls=":", zorder=1)
        _mark(axes, untrained, place + 0.19, "#999999", "D", "untrained" if place == 0 else None, filled=False)
        label = "pretrained, base" if is_base else "pretrained, variant" if place == min(1, len(groups) - 1) else None
        _mark(axes, values, place - 0.11, color, "o", label, filled=True)
    axes.set_yticks(range(len(groups)), names.values(), fontsize=9)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(f"validation {metric.replace('_', ' ')}, %", fontsize=9)
    title = f"{plan.title}: {plan.method} on {_data_name(plan)}"
    figure.text(0.12 / width, 1 - 0.12 / height, title, fontsize=11, va="top", weight="bold")
    style: dict[str, Any] = {"ncols": 3, "frameon": False, "fontsize": 8, "handletextpad": 0.2, "columnspacing": 1.2}
    corner = (1, 1 - 0.32 / height)
    figure.legend(*axes.get_legend_handles_labels(), loc="upper right", bbox_to_anchor=corner, **style)
    return save_figure(figure, path)


def _mark(
    axes: Axes, values: Sequence[float], y: float, color: str, marker: str, label: str | None, filled: bool
) -> None:
    """The values as faint dots; their mean, with the standard deviation as a bar if there are several."""
    if not values:
        return
    deviation = statistics.stdev(values) if len(values) > 1 else None
    if len(values) > 1:
        axes.scatter(values, [y] * len(values), s=12, color=color, alpha=0.5, linewidths=0, zorder=2)
    size, inside = (5.5, color) if filled else (4.5, "white")
    style: dict[str, Any] = {"fmt": marker, "color": color, "ms": size, "mfc": inside, "capsize": 3, "lw": 1.3}
    axes.errorbar(statistics.mean(values), y, xerr=deviation, label=label, zorder=3, **style)
