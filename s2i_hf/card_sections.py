"""The sections of a model card, one function each: a run folder in, Markdown out.

A number that no file of the run holds is not measured, and the section says so or leaves it out.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .cost import model_cost
from .masking import MASKS, describe_mask, ratio_range
from .results import ENCODERS, public_command
from .run_folder import RunFolder

NOT_MEASURED = "Not measured."
METRIC_NAMES = {"top1": "top-1", "top5": "top-5", "mean_class": "mean class"}
# What can be had without learned features: joints centred, 16 frames and their velocity, and the classifier alone, measured on the
# files that the authors publish, view 3 as test set (1-NN, linear, RBF kernel; top-1).
FLOORS = {("nw_ucla", "xview"): {"1-NN": 0.571, "linear": 0.569, "RBF kernel": 0.668}}
_PROCESSOR_KEYS = (
    "layout", "size", "people", "part_widths", "value_range", "value_scale", "center", "stream", "do_normalize", "image_mean",
    "image_std", "joint_order", "order_seed", "interpolation",
)  # fmt: skip
_MIXTURE_KEYS = ("sources", "duplicates", "tests_that_train", "held_out")
_AUGMENTATION_KEYS = ("crop", "yaw", "tilt", "scale", "mirror", "drop_joints", "jitter")
_RECIPE_KEYS = (
    "model", "target", "norm_pix_loss", "epochs", "max_steps", "batch_size", "gradient_accumulation", "base_lr", "weight_decay",
    "warmup_epochs", "grad_clip", "precision", "seed",
)  # fmt: skip


def words(name: str) -> str:
    return {"knn": "kNN"}.get(name, name.replace("_", " "))


def _per_cent(value: float) -> str:
    return f"{100 * value:.1f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _pairs(values: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The settings among `keys` that are there, as a table."""
    known = [(f"`{key}`", f"`{_shown(values[key])}`") for key in keys if values.get(key) is not None]
    return _table(("setting", "value"), known) if known else ""


def _shown(value: Any) -> str:
    """A value for print; a path on this machine is reduced to its last part."""
    if isinstance(value, Mapping) and "joint_names" in value:  # a custom layout
        return f"{value.get('name', 'custom')} ({len(value['joint_names'])} joints)"
    if isinstance(value, str) and (os.path.isabs(value) or value.startswith(("~", ".."))):
        return Path(value).name
    if isinstance(value, list | tuple):
        return " ".join(_shown(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _summary(run: RunFolder) -> str:
    kind = {"vit_mae": "ViT-MAE (`ViTMAEForPreTraining`)", "vit": "ViT (`ViTModel`)"}.get(
        run.config.get("model_type", ""), "model"
    )
    name = run.data.get("name") or run.settings.get("data")
    if run.settings:
        start = "from scratch" if run.origin.startswith("config:") else f"starting from `{_shown(run.origin)}`"
        return f"A {kind} pretrained {start} as a masked autoencoder on S2I images of the training skeletons of `{_shown(name)}`."
    return f"Frozen features of a {kind}, probed on S2I images of skeletons."


def _data(run: RunFolder) -> str:
    described = [("pretraining", run.data)] if run.data else []
    described += [("probe", entry["data"]) for entry in run.per_class.values() if entry.get("data")]
    parts, seen = [], []
    for purpose, data in described:
        if data in seen:
            continue
        seen.append(data)
        plain = {key: value for key, value in data.items() if key not in _MIXTURE_KEYS}
        parts.append(f"Data of the {purpose}:\n\n{_table(('fact', 'value'), _facts(plain))}")
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
        parts.append(f"Several datasets were trained on together:\n\n{_table(header, rows)}")
    for name, count in (data.get("duplicates") or {}).items():
        parts.append(f"{count:,} clips of {name} are in a dataset above it as well and were used once.")
    if held_out := data.get("held_out"):
        counts = ", ".join(f"{count:,} of `{name}`" for name, count in held_out.items())
        parts.append(
            f"Held out of the training clips, because these protocols test on them: {counts}. A clip may be in several."
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
            rows.append((name, f"{len(value)}: {', '.join(shown)}"))
        elif value is not None and not _is_path(value):
            rows.append((name, f"`{value}`" if "sha256" in str(key) or "hash" in str(key) else _shown(value)))
    return rows


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and (os.path.isabs(value) or value.startswith(("~", "..")))


def _array(run: RunFolder) -> str:
    text = "Joints are (T, M, V, 3) in metres, camera frame, y up; M counts the people present. Missing joints are filled along time. "
    used = {key: run.settings[key] for key in _AUGMENTATION_KEYS if key in run.settings}
    if not used:
        return text.strip()
    return f"{text}Augmentation during pretraining (lengths in metres, angles in radians):\n\n{_pairs(used, _AUGMENTATION_KEYS)}"


def _image(run: RunFolder) -> str:
    return _pairs(run.processor, _PROCESSOR_KEYS) or "Not recorded."


def _reconstruction(run: RunFolder) -> str:
    if not run.picture:
        return f"Reconstruction error: {NOT_MEASURED.lower()}"
    picture = run.picture
    text = (
        f"Masked and rebuilt, {picture['clips']} test clips are off by {picture['error']:.1f} {picture['unit']} a joint (MPJPE over all "
        f"joints; {picture['hidden_error']:.1f} {picture['unit']} over hidden joints), with {_with_mask(picture['mask'])} at "
        f"{picture['mask_ratio']:.0%}. Visible patches are the original's."
    )
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


def _mask(run: RunFolder) -> str:
    ratio = run.settings.get("mask_ratio", run.config.get("mask_ratio"))
    if ratio is None or "mask" not in run.settings:
        return "Nothing is hidden when the encoder is used: it sees every patch."
    low, high = ratio_range(ratio)
    share = f"{low:.0%}" if low == high else f"{low:.0%} to {high:.0%} (drawn for each optimizer step)"
    mask = describe_mask(run.settings["mask"])
    kind = f"`{mask}`" if mask in MASKS else f"{mask[0].upper()}{mask[1:]} masks"
    return (
        f"{kind}, {share} of the patches hidden, drawn from (seed, epoch, sample id). For features nothing is "
        "hidden: the encoder sees every patch."
    )


def _model(run: RunFolder) -> str:
    keys = (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "decoder_hidden_size", "decoder_num_hidden_layers", "image_size",
        "patch_size",
    )  # fmt: skip
    return _pairs(run.config, keys) or "Not recorded."


def _recipe(run: RunFolder) -> str:
    table = _pairs(run.settings, _RECIPE_KEYS)
    return f"Recipe (lr = base_lr x effective batch / 256; every setting is in run.yaml):\n\n{table}" if table else ""


def _curve(run: RunFolder) -> str:
    if not run.metrics:
        return f"Loss curve: {NOT_MEASURED.lower()}"
    count = min(6, len(run.metrics))
    picked = [run.metrics[round(index * (len(run.metrics) - 1) / max(count - 1, 1))] for index in range(count)]
    rows = [[row["step"] for row in picked], [f"{row['loss']:.4f}" for row in picked]]
    text = _table(("step", *map(str, rows[0])), [("loss", *rows[1])])
    return f"{text}\n\n![Loss and learning rate over steps](curve.png)" if run.has("curve.png") else text


def _cost(run: RunFolder) -> str:
    cost = model_cost(run.config)
    rows: list[tuple[str, str]] = []
    if cost:
        rows.append(("parameters of the encoder", f"{cost['encoder_parameters'] / 1e6:.2f} M"))
        rows.append(("FLOPs of the encoder, one clip, every patch", f"{cost['encoder_flops'] / 1e9:.3g} G"))
    if "parameters" in cost:
        rows.append(("parameters with the decoder", f"{cost['parameters'] / 1e6:.2f} M"))
        rows.append(("FLOPs of pretraining, one clip, forward", f"{cost['pretraining_flops'] / 1e9:.3g} G"))
    speeds = sorted(row["clips_per_second"] for row in run.metrics if row.get("clips_per_second"))
    speed = f"{speeds[len(speeds) // 2]:.0f}" if speeds else "not measured"
    device, processes = run.start.get("device"), run.start.get("num_processes") or 1
    where = (f" on {device}" if device else "") + (f", {processes} processes" if processes > 1 else "")
    rows.append((f"clips a second in pretraining{where} (median)", speed))
    if run.summary.get("seconds"):
        rows.append(("pretraining", f"{run.summary['seconds'] / 60:.1f} minutes"))
    return _table(("cost", "value"), rows) + "\n\nA multiplication and an addition count as two FLOPs."


def _results(run: RunFolder) -> str:
    if not run.results:
        return f"{NOT_MEASURED} `python examples/probe.py --model <this folder> --data <protocol>` measures it."
    groups: dict[tuple[Any, ...], dict[tuple[Any, ...], dict[str, float]]] = {}
    facts: dict[tuple[Any, ...], set[tuple[int, int]]] = {}
    for row in run.results:
        group = (row["dataset"], row["protocol"])
        line = (row["setting"], row["encoder"], row["method"], row["seed"])
        groups.setdefault(group, {}).setdefault(line, {})[row["metric"]] = row["value"]
        facts.setdefault(group, set()).add((row["train_clips"], row["test_clips"]))
    parts = []
    for group, lines in groups.items():
        metrics = [metric for metric in METRIC_NAMES if any(metric in values for values in lines.values())]
        ordered = sorted(lines, key=lambda line: (line[0] != "linear_probe", line[0], _order(line[1]), line[3]))
        table = _table(
            ("setting", "encoder", *(f"{METRIC_NAMES[metric]} %" for metric in metrics), "seed"),
            (
                (
                    words(line[0]),
                    f"**{words(line[1])}**" if line[1] == "pretrained" else words(line[1]),
                    *(
                        _per_cent(lines[line][metric]) if metric in lines[line] else "not measured"
                        for metric in metrics
                    ),
                    line[3],
                )
                for line in ordered
            ),
        )
        clips = "; ".join(f"{train:,} training and {test:,} test clips" for train, test in sorted(facts[group]))
        text = f"`{group[0]}` `{group[1]}`, {clips}:\n\n{table}"
        if group in FLOORS:
            floors = ", ".join(f"{name} {_per_cent(value)} %" for name, value in FLOORS[group].items())
            text += f"\n\nWithout learned features (joints centred, 16 frames and their velocity, on the published files), top-1: {floors}."
        parts.append(text)
    parts.append(
        "The encoder is frozen. `untrained` is the same architecture before training, from the same seed; `raw joints` are the joints "
        "resampled to 16 frames, with the same classifier. Regularisation, k and pooling were chosen on held-out training "
        "subjects (where all test cameras are new, seen by a camera that was not fitted on), never on test clips. Augmented copies of "
        "training clips (`--copies` of the command), if any, were given to every encoder alike."
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
            mistaken = f"{names[taken[1]]} ({taken[0]} of {values['test_clips'][index]})" if taken else "nothing"
            rows.append((names[index], _per_cent(accuracy), mistaken))
        table = _table(("class", "right %", "most often taken for"), rows)
        choice = ", ".join(f"{key} {value}" for key, value in values["chosen"].items())
        parts.append(f"Weakest classes of the {words(setting)} on `{protocol}` (chosen: {choice}):\n\n{table}")
        if values.get("note"):
            parts.append(f"Note: {values['note']}.")
    if run.has("confusion.png"):
        parts.append("![Confusion matrix](confusion.png)")
    return "\n\n".join(parts)


def _usage(run: RunFolder) -> str:
    kind = "ViTMAEForPreTraining" if run.config.get("model_type", "vit_mae") == "vit_mae" else "ViTModel"
    layout = run.processor.get("layout")
    hint = "" if layout else f', layout="{next(iter(run.data.get("layouts") or []), "kinect_v2")}"'
    return (
        "```python\n"
        "import s2i_hf  # the Auto classes know SkeletonProcessor after this\n"
        f"from transformers import AutoImageProcessor, {kind}\n\n"
        f'processor = AutoImageProcessor.from_pretrained("{run.title}")  # this folder or repository\n'
        f'model = {kind}.from_pretrained("{run.title}")\n\n'
        f"inputs = processor(joints{hint})  # (T, V, 3) or (T, M, V, 3), metres\n"
        "encoder = s2i_hf.encoder_of(model)  # a stock ViTModel that sees every patch\n"
        'features = encoder(inputs["pixel_values"]).last_hidden_state.mean(dim=1)\n'
        "```"
    )


def _reproduce(run: RunFolder) -> str:
    lines = []
    command = run.start.get("command")
    if command:
        lines.append(f"Pretraining:\n\n```bash\n{public_command(shlex.split(command)[1:])}\n```")
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
    if kind == "cc-by-nc-4.0":
        limits.append("Derived from weights under CC BY-NC 4.0 (facebook/vit-mae): no commercial use.")
    elif kind is None:
        start = _shown(run.origin) or "unknown"
        limits.append(f"The licence of the weights it started from (`{start}`) is not recorded; find it out first.")
    limits.append("The licence covers the weights; the terms of the dataset bind you as well.")
    return "\n".join(f"- {limit}" for limit in limits)


SECTIONS: dict[str, Callable[[RunFolder], str]] = {
    "summary": _summary, "data": _data, "array": _array, "image": _image, "reconstruction": _reconstruction, "mask": _mask,
    "model": _model, "recipe": _recipe, "curve": _curve, "cost": _cost, "results": _results, "per_class": _per_class,
    "usage": _usage, "reproduce": _reproduce, "limits": _limits,
}  # fmt: skip
"""Placeholder of the template -> function that fills it."""
