"""What the card of a fine-tuned model says otherwise than that of a pretrained one: template model_cards/finetuning.md; of a fusion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..models.model_cost import model_cost
from ..runs.run_folder import RunFolder
from .markdown import NOT_MEASURED, markdown_table, pairs, per_cent, plain, show, words
from .measured_sections import fusion_section
from .pretraining_card import METRIC_NAMES, SECTIONS, origin_words

_RECIPE_KEYS = (
    "model", "encoder", "pooling", "mixup", "cutmix", "label_smoothing", "class_weights", "drop_path", "layer_decay", "ema", "label_share",
    "label_seed", "validation", "best", "test_clips", "epochs", "max_steps", "batch_size", "gradient_accumulation", "base_lr",
    "weight_decay", "warmup_epochs", "grad_clip", "precision", "seed",
)  # fmt: skip
_POOLINGS = {
    "cls": "the CLS token",
    "mean": "the mean of the patch tokens",
    "columns": "the mean over time of every patch column",
}


def _summary(run: RunFolder) -> str:
    kind = (run.config.get("architectures") or ["classifier"])[0]
    start = f"fine-tuned from {origin_words(run)}"
    if run.starts_untrained:
        start = f"trained from scratch (architecture of `{show(run.origin)}`)"
    classes = len(run.config.get("id2label") or {})
    head = _POOLINGS.get(str(run.settings.get("pooling")), "its features")
    name = run.data.get("name") or run.settings.get("data")
    return f"A `{kind}` {start} on S2I images of `{show(name)}`. It tells {classes} actions apart by {head}."


def _model(run: RunFolder) -> str:
    keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size", "pooling")
    names = list((run.config.get("id2label") or {}).values())
    classes = f"\n\nClasses, in the order of their numbers: {plain(', '.join(map(str, names)))}." if names else ""
    return f"{pairs(run.config, keys) or 'Not recorded.'}{classes}"


def _recipe(run: RunFolder) -> str:
    table = pairs(run.settings, _RECIPE_KEYS)
    return f"Recipe (lr = base_lr x effective batch / 256; every setting is in run.yaml):\n\n{table}" if table else ""


def _cost(run: RunFolder) -> str:
    rows: list[tuple[str, str]] = []
    if cost := model_cost(run.config):
        rows.append(("FLOPs, one clip, forward", f"{cost['encoder_flops'] / 1e9:.3g} G"))
    if parameters := run.summary.get("parameters") or run.start.get("parameters"):
        rows.insert(0, ("parameters", f"{parameters / 1e6:.2f} M"))
    speeds = sorted(row["clips_per_second"] for row in run.metrics if row.get("clips_per_second"))
    device = run.start.get("device")
    if speeds:
        rows.append(
            (
                f"clips a second in training{f' on {device}' if device else ''} (median)",
                f"{speeds[len(speeds) // 2]:.0f}",
            )
        )
    if run.summary.get("seconds"):
        rows.append(("training", f"{run.summary['seconds'] / 60:.1f} minutes"))
    return markdown_table(("cost", "value"), rows) + "\n\nA multiplication and an addition count as two FLOPs."


def _results(run: RunFolder) -> str:
    own = [row for row in run.results if row["setting"] == run.settings.get("setting")]
    if not own:
        return NOT_MEASURED
    by_line: dict[tuple[Any, ...], dict[str, float]] = {}
    for row in own:
        line = (
            f"{row['dataset']} {row['protocol']}",
            words(row["setting"]),
            words(row["encoder"]),
            row["train_clips"],
            row["seed"],
        )
        by_line.setdefault((*line, row["test_clips"]), {})[row["metric"]] = row["value"]
    rows = [
        (
            *line[:3],
            f"{line[3]:,}",
            f"{line[5]:,}",
            *(per_cent(found[name]) if name in found else "" for name in METRIC_NAMES),
            line[4],
        )
        for line, found in by_line.items()
    ]
    header = (
        "protocol",
        "setting",
        "encoder",
        "training clips",
        "test clips",
        *(f"{name} %" for name in METRIC_NAMES.values()),
        "seed",
    )
    return f"{markdown_table(header, rows)}\n\n{_choice(run)}"


def _choice(run: RunFolder) -> str:
    """Which weights were tested, and what they were chosen by."""
    summary, settings = run.summary, run.settings
    weights = "the last step"
    if summary.get("best_epoch") is not None:
        held = summary.get("validation_clips", 0)
        weights = f"epoch {summary['best_epoch']:g}, the best on {held:,} training clips that were held out"
    text = f"The test clips were read once, after training. The weights are those of {weights}."
    if settings.get("ema") is not None:
        text += f" They are the moving average of the training's weights (decay {settings['ema']:g})."
    if settings.get("label_share", 1) < 1:
        text += (
            f" {settings['label_share']:.3g} of the training clips had their labels (draw {settings['label_seed']})."
        )
    if settings.get("test_clips", 1) > 1:
        text += f" Probabilities are averaged over {settings['test_clips']} windows of each test clip."
    return text


def _per_class(run: RunFolder, weakest: int = 5) -> str:
    parts = []
    encoder = "untrained" if run.starts_untrained else "pretrained"
    for protocol, entry in run.per_class.items():
        values = entry.get("encoders", {}).get(encoder, {}).get(run.settings.get("setting"))
        if values is None:
            continue
        names = entry["class_names"]
        measured = sorted((share, index) for index, share in enumerate(values["accuracy"]) if share is not None)
        rows = []
        for share, index in measured[:weakest]:
            counts = list(values["confusion"][index])
            counts[index] = 0
            other = max(range(len(counts)), key=lambda at: (counts[at], -at))
            mistaken = (
                f"{plain(names[other])} ({counts[other]} of {values['test_clips'][index]})"
                if counts[other]
                else "nothing"
            )
            rows.append((plain(names[index]), per_cent(share), mistaken))
        table = markdown_table(("class", "right %", "most often taken for"), rows)
        parts.append(f"Weakest classes on `{protocol}`:\n\n{table}")
    if run.has("confusion.png"):
        parts.append("![Confusion matrix](confusion.png)")
    return "\n\n".join(parts)


def _usage(run: RunFolder) -> str:
    layout = run.processor.get("layout")
    hint = "" if layout else f', layout="{next(iter(run.data.get("layouts") or []), "kinect_v2")}"'
    return (
        "```python\n"
        "import s2i_hf  # the Auto classes know SkeletonProcessor and our models after this\n"
        "from transformers import AutoImageProcessor, AutoModelForImageClassification\n\n"
        f'processor = AutoImageProcessor.from_pretrained("{run.title}")  # this folder or repository\n'
        f'model = AutoModelForImageClassification.from_pretrained("{run.title}")\n\n'
        f"inputs = processor(joints{hint})  # (T, V, 3) or (T, M, V, 3), metres\n"
        'label = model(inputs["pixel_values"]).logits.argmax().item()\n'
        "print(model.config.id2label[label])\n"
        "```"
    )


def _reproduce(run: RunFolder) -> str:
    commands = list(
        dict.fromkeys(
            [*([run.start["command"]] if run.start.get("command") else []), *(row["command"] for row in run.results)]
        )
    )
    facts = [f"Seed {run.settings.get('seed', 0)}"]
    for name, key in (("commit", "commit"), ("on", "hardware")):
        found = list(dict.fromkeys(row[key] for row in run.results))
        facts += [f"{name} {', '.join(found)}"] if found else []
    versions = run.start.get("versions") or {}
    facts += [", ".join(f"{name} {version}" for name, version in versions.items())] if versions else []
    shown = "\n".join(commands)
    return f"```bash\n{shown}\n```\n\n{'; '.join(facts)}." if commands else "Not recorded."


FINETUNE_SECTIONS: dict[str, Callable[[RunFolder], str]] = {
    **SECTIONS,
    **{
        "summary": _summary,
        "model": _model,
        "recipe": _recipe,
        "cost": _cost,
        "results": _results,
        "per_class": _per_class,
    },
    **{"usage": _usage, "reproduce": _reproduce},
}
"""Placeholder of the template -> function that fills it."""


def _fusion_summary(run: RunFolder) -> str:
    fused = run.fusion
    return (
        f"{len(fused['alone'])} classifiers of `{fused['protocol']}` as one: the mean of their probabilities, of the streams "
        f"{' + '.join(fused['streams'])}. This folder holds no weights; those of each model are in its own."
    )


def _fusion_reproduce(run: RunFolder) -> str:
    commands = list(dict.fromkeys(row["command"] for row in run.results))
    return "```bash\n" + "\n".join(commands) + "\n```" if commands else "Not recorded."


FUSION_SECTIONS: dict[str, Callable[[RunFolder], str]] = {
    **SECTIONS,
    **{"summary": _fusion_summary, "fusion": fusion_section, "reproduce": _fusion_reproduce},
}
"""Placeholder of the template of a fusion -> function that fills it."""
