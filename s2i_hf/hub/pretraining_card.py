"""The sections of a model card, one function each: a run folder in, Markdown out.

A number that no file of the run holds is not measured, and the section says so or leaves it out.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..processing.augmentation import Augmentation
from ..processing.masking import MASKS, describe_mask
from ..runs.provenance import public_command
from ..runs.results import ENCODERS
from ..runs.run_folder import RunFolder, hub_id
from .markdown import NOT_MEASURED, is_path, markdown_table, pairs, per_cent, plain, show, words
from .measured_sections import comparison_section, fusion_section, is_damaged, robustness_section
from .pretraining_card_model import (
    KINDS,
    citation_section,
    cost_section,
    curve_section,
    known_datasets,
    mask_section,
    model_section,
    recipe_section,
    start_section,
    usage_section,
    use_section,
)

METRIC_NAMES = {"top1": "top-1", "top5": "top-5", "mean_class": "mean class"}
# What can be had without learned features: joints centred, 16 frames and their velocity, and the classifier alone, measured on the
# files that the authors publish, view 3 as test set (1-NN, linear, RBF kernel; top-1).
FLOORS = {("nw_ucla", "xview"): {"1-NN": 0.571, "linear": 0.569, "RBF kernel": 0.668}}
_PROCESSOR_KEYS = (
    "layout", "size", "people", "part_widths", "value_range", "value_scale", "center", "stream", "do_normalize", "image_mean",
    "image_std", "joint_order", "order_seed", "interpolation",
)  # fmt: skip
_MIXTURE_KEYS = ("sources", "duplicates", "tests_that_train", "held_out")
_AUGMENTATION_KEYS = tuple(field.name for field in fields(Augmentation))


def _summary(run: RunFolder) -> str:
    model_type = run.config.get("model_type", "")
    kind = KINDS.get(model_type, "model")
    name = run.data.get("name") or run.settings.get("data")
    if run.settings:
        start = "from scratch" if run.starts_untrained else f"starting from {origin_words(run)}"
        how = "to remove noise from hidden patches" if model_type == "diffmae" else "as a masked autoencoder"
        return f"A {kind} pretrained {start} {how}, on S2I images of the training skeletons of `{show(name)}`."
    return f"Frozen features of a {kind}, probed on S2I images of skeletons."


def origin_words(run: RunFolder) -> str:
    """What the weights started from, as readers elsewhere can find it: a repository, or the name of a run that is nowhere else."""
    folder = run.origin_folder
    pushed = RunFolder(folder).repository if folder else None
    if pushed or hub_id(run.origin):
        return f"`{pushed or run.origin}`"
    name = f"`{Path(run.origin).name}`"
    return (
        f"{name} (a pretraining that is not on the Hub{f', itself from `{run.base_model}`' if run.base_model else ''})"
    )


def _data(run: RunFolder) -> str:
    described = [("fine-tuning" if run.is_finetuned else "pretraining", run.data)] if run.data else []
    described += [("probe", entry["data"]) for entry in run.per_class.values() if entry.get("data")]
    parts, seen = [], []
    for purpose, data in described:
        if data in seen:
            continue
        seen.append(data)
        plain = {key: value for key, value in data.items() if key not in _MIXTURE_KEYS}
        parts.append(f"Data of the {purpose}:\n\n{markdown_table(('fact', 'value'), _facts(plain))}")
        parts += _mixture(data)
    if not parts:
        return "Not recorded."
    return (
        "\n\n".join(parts)
        + "\n\nThe training clips alone were learned from. The hash is of the sorted ids of the test clips."
    )


def _mixture(data: Mapping[str, Any]) -> list[str]:
    """What was mixed, and what was kept out of it."""
    parts = []
    if sources := data.get("sources"):
        rows = [
            (name, f"{facts['clips']:,}", f"{facts['share']:.1%}", ", ".join(facts["layouts"]), facts["subjects"])
            for name, facts in sources.items()
        ]
        header = ("dataset", "training clips", "share of an epoch", "joint format", "subjects")
        parts.append(f"Several datasets were trained on together:\n\n{markdown_table(header, rows)}")
    for name, count in (data.get("duplicates") or {}).items():
        parts.append(f"{count:,} clips of {name} are in a dataset above it as well and were used once.")
    if held_out := data.get("held_out"):
        counts = ", ".join(f"{count:,} of `{name}`" for name, count in held_out.items() if count)
        names = ", ".join(f"`{name}`" for name in held_out)
        parts.append(
            f"Held out of the training clips, because these protocols test on them: {counts}. A clip may be in several."
            if counts
            else f"No training clip is a test clip of {names}: nothing had to be held out."
        )
    return parts


def _facts(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Leaves of data.json as rows; long lists become their length."""
    rows: list[tuple[str, str]] = []
    for key, value in data.items():
        name = f"{prefix}{words(str(key))}"
        if isinstance(value, Mapping):
            rows += _facts(value, f"{name}, ")
        elif isinstance(value, list) and len(value) > 6:
            shown = [*map(str, value[:20]), *(["..."] if len(value) > 20 else [])]
            rows.append((name, f"{len(value)}: {plain(', '.join(shown))}"))
        elif value is not None and not is_path(value):
            rows.append((name, f"`{value}`" if "sha256" in str(key) or "hash" in str(key) else plain(show(value))))
    return rows


def _array(run: RunFolder) -> str:
    text = "Joints are (T, M, V, 3) in metres, camera frame, y up; M counts the people present. Missing joints are filled along time. "
    used = {key: run.settings[key] for key in _AUGMENTATION_KEYS if key in run.settings}
    if not used:
        return text.strip()
    purpose = "fine-tuning" if run.is_finetuned else "pretraining"
    return f"{text}Augmentation during {purpose} (lengths in metres, angles in radians):\n\n{pairs(used, _AUGMENTATION_KEYS)}"


def _image(run: RunFolder) -> str:
    return pairs(run.processor, _PROCESSOR_KEYS) or "Not recorded."


def _reconstruction(run: RunFolder) -> str:
    if not run.picture:
        return f"Reconstruction error: {NOT_MEASURED.lower()}"
    picture = run.picture
    text = (
        f"Masked and rebuilt, {picture['clips']} test clips are off by {picture['error']:.1f} {picture['unit']} a joint (MPJPE over all "
        f"joints; {picture['hidden_error']:.1f} {picture['unit']} over hidden joints), with {_with_mask(picture['mask'])} at "
        f"{picture['mask_ratio']:.0%}. Visible patches are the original's."
    )
    if run.config.get("model_type") == "diffmae":
        text += " Hidden patches were predicted in a single step from pure noise, which gives the mean of what may be there."
    if picture.get("uses_target_scale"):
        text += (
            " The model predicts normalised pixels: mean and contrast of each hidden patch were taken from the original, so the error is "
            "that of the shape alone."
        )
    if picture.get("target") == "motion":
        text += " The model predicts the motion stream, which was summed from the true first frame, so errors add up over time."
    if run.has("reconstruction.png"):
        text += f"\n\n![Original, masked and rebuilt, as image and as skeleton, of clip {picture['sample_id']}](reconstruction.png)"
    return text


def _with_mask(mask: str) -> str:
    return f"the {mask} mask" if mask in MASKS else f"{describe_mask(mask)} masks"


def _results(run: RunFolder) -> str:
    rows = [row for row in run.results if not is_damaged(row["setting"])]  # those have a table of their own
    if not rows:
        return f"{NOT_MEASURED} `python examples/probe.py --model <this folder> --data <protocol>` measures it."
    groups: dict[tuple[Any, ...], dict[tuple[Any, ...], dict[str, float]]] = {}
    facts: dict[tuple[Any, ...], set[tuple[int, int]]] = {}
    for row in rows:
        group = (row["dataset"], row["protocol"])
        line = (row["setting"], row["encoder"], row["method"], row["seed"])
        groups.setdefault(group, {}).setdefault(line, {})[row["metric"]] = row["value"]
        facts.setdefault(group, set()).add((row["train_clips"], row["test_clips"]))
    parts = []
    for group, lines in groups.items():
        metrics = [metric for metric in METRIC_NAMES if any(metric in values for values in lines.values())]
        ordered = sorted(lines, key=lambda line: (line[0] != "linear_probe", line[0], _order(line[1]), line[3]))
        table = markdown_table(
            ("setting", "encoder", *(f"{METRIC_NAMES[metric]} %" for metric in metrics), "seed"),
            (
                (
                    words(line[0]),
                    f"**{words(line[1])}**" if line[1] == "pretrained" else words(line[1]),
                    *(per_cent(lines[line][metric]) if metric in lines[line] else "not measured" for metric in metrics),
                    line[3],
                )
                for line in ordered
            ),
        )
        clips = "; ".join(f"{train:,} training and {test:,} test clips" for train, test in sorted(facts[group]))
        text = f"`{group[0]}` `{group[1]}`, {clips}:\n\n{table}"
        if group in FLOORS:
            floors = ", ".join(f"{name} {per_cent(value)} %" for name, value in FLOORS[group].items())
            text += f"\n\nWithout learned features (joints centred, 16 frames and their velocity, on the published files), top-1: {floors}."
        parts.append(text)
    parts.append(
        "The encoder is frozen. `untrained` is the same architecture before training, from the same seed; `raw joints` are the joints "
        "resampled to 16 frames, with the same classifier. Regularisation, k and pooling were chosen on held-out training "
        "subjects (where all test cameras are new, seen by a camera that was not fitted on), never on test clips. Augmented copies of "
        "training clips (`--copies` of the command), if any, were given to every encoder alike. With `--turns`, features of an encoder are "
        "the mean over so many turned views of each clip, and raw joints are fitted on these views."
        + (" The weights are those of the last step." if run.metrics else "")
    )
    return "\n\n".join(parts)


def _order(encoder: str) -> int:
    return ENCODERS.index(encoder) if encoder in ENCODERS else len(ENCODERS)


def _per_class(run: RunFolder, weakest: int = 5) -> str:
    parts = []
    for protocol, entry in run.per_class.items():
        by_setting = entry.get("encoders", {}).get("pretrained", {})
        setting = "linear_probe" if "linear_probe" in by_setting else next(iter(by_setting), None)
        if setting is None:
            continue
        values, names = by_setting[setting], entry["class_names"]
        measured = [(accuracy, index) for index, accuracy in enumerate(values["accuracy"]) if accuracy is not None]
        rows = []
        for accuracy, index in sorted(measured)[:weakest]:
            wrong = [
                (count, other) for other, count in enumerate(values["confusion"][index]) if other != index and count
            ]
            taken = max(wrong, key=lambda pair: (pair[0], -pair[1]), default=None)
            mistaken = f"{plain(names[taken[1]])} ({taken[0]} of {values['test_clips'][index]})" if taken else "nothing"
            rows.append((plain(names[index]), per_cent(accuracy), mistaken))
        table = markdown_table(("class", "right %", "most often taken for"), rows)
        choice = ", ".join(f"{key} {value}" for key, value in values["chosen"].items())
        parts.append(f"Weakest classes of the {words(setting)} on `{protocol}` (chosen: {choice}):\n\n{table}")
        if values.get("note"):
            parts.append(f"Note: {values['note']}.")
    if run.has("confusion.png"):
        parts.append("![Confusion matrix](confusion.png)")
    return "\n\n".join(parts)


def _reproduce(run: RunFolder) -> str:
    lines = []
    command = run.start.get("command")
    if command:
        # the command is public already, and quoted once more: a placeholder is to stay a variable of the shell
        text = re.sub(r"'(\$[A-Z][A-Z0-9_]*[\w./-]*)'", r"\1", public_command(shlex.split(command)[1:]))
        lines.append(f"Pretraining:\n\n```bash\n{text}\n```")
    probes = list(dict.fromkeys(row["command"] for row in run.results))
    if probes:
        lines.append("Probe:\n\n```bash\n" + "\n".join(probes) + "\n```")
    facts = []
    if "seed" in run.settings:
        facts.append(f"seed {run.settings['seed']}")
    if run.start.get("commit"):
        facts.append(f"pretraining at commit {run.start['commit']}")
    commits = list(dict.fromkeys(row["commit"] for row in run.results))
    if commits:
        facts.append(f"probe at commit {', '.join(commits)}")
    hardware = list(dict.fromkeys(row["hardware"] for row in run.results))
    if hardware:
        facts.append(f"probe on {', '.join(hardware)}")
    versions = run.start.get("versions")
    if isinstance(versions, Mapping):
        facts.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    if facts:
        text = "; ".join(facts)
        lines.append(f"{text[0].upper()}{text[1:]}.")
    return "\n\n".join(lines) or "Not recorded."


def _limits(run: RunFolder) -> str:
    limits = [
        "What was learned from the clips named above holds for them: expect less on other sensors, viewpoints, body sizes and actions.",
        "Skeletons can identify people and their health; have the consent that your use needs.",
    ]
    kind = run.licence
    if run.config.get("model_type") == "diffmae" and run.config.get("norm_pix_loss"):
        limits.append(
            "It predicts hidden patches without their brightness and contrast, so filling in motion guesses them."
        )
    if kind == "cc-by-nc-4.0":
        limits.append("Derived from weights under CC BY-NC 4.0 (facebook/vit-mae): no commercial use.")
    elif kind is None and not run.is_fusion:
        start = show(run.origin) or "unknown"
        limits.append(f"The licence of the weights it started from (`{start}`) is not recorded; find it out first.")
    elif kind and run.starts_untrained:
        limits.append(
            f"No weights were taken over from another model, so none of its licence: the weights are under `{kind}`."
        )
    elif kind:
        limits.append(f"Licence `{kind}`, as of the weights that it went on from.")
    limits += _certainty(run)
    terms = "; ".join(f"{one.title}: {plain(one.licence)}" for one in known_datasets(run))
    limits.append(
        f"The licence covers the weights; the terms of the dataset bind you as well{f' ({terms})' if terms else ''}."
    )
    return "\n".join(f"- {limit}" for limit in limits)


def _certainty(run: RunFolder) -> list[str]:
    """How far the numbers may be off: the standard error that the number of test clips leaves, and the seeds."""
    wanted = run.settings.get("setting") if run.is_finetuned else "linear_probe"
    top1 = [row for row in run.results if row["metric"] == "top1" and row["setting"] == wanted]
    if not run.is_finetuned:
        top1 = [row for row in top1 if row["encoder"] == "pretrained"]
    if not top1:
        return []
    errors = [100 * math.sqrt(row["value"] * (1 - row["value"]) / row["test_clips"]) for row in top1]
    shown = ", ".join(
        f"{error:.1f} points on {row['test_clips']:,} test clips" for error, row in zip(errors, top1, strict=True)
    )
    seeds = len({row["seed"] for row in top1})
    return [
        f"The standard error of top-1 by the number of test clips alone is {shown}; "
        + ("one seed was run, and others differ." if seeds == 1 else f"{seeds} seeds were run.")
    ]


SECTIONS: dict[str, Callable[[RunFolder], str]] = {
    "summary": _summary, "data": _data, "array": _array, "image": _image, "reconstruction": _reconstruction, "mask": mask_section,
    "model": model_section, "recipe": recipe_section, "curve": curve_section, "cost": cost_section, "results": _results,
    "per_class": _per_class, "usage": usage_section, "reproduce": _reproduce, "limits": _limits, "use": use_section,
    "comparison": comparison_section, "robustness": robustness_section, "fusion": fusion_section, "citation": citation_section,
    "start": start_section,
}  # fmt: skip
"""Placeholder of the template -> function that fills it."""
