"""The probe run: a pretrained encoder beside its untrained twin and the raw joints, every number into `results.json`.

Reads a run folder (or a model of the Hub) and a dataset; writes results.json, per_class.json, confusion.png and the card.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.skeleton_rows import splits_as_layout
from ..models.backbones import backbone_of, load_backbone, poolings_of, untrained_backbone
from ..models.loading import load_weights, model_type
from ..models.model_processors import check_size, layout_note, processor_for
from ..models.saved_models import pick_device
from ..processing.layouts import get_layout
from ..protocols import PROTOCOLS
from ..runs.provenance import current_commit, hardware_name, public_command
from ..runs.results import METRICS, append_results, result_row
from ..utils.files import write_atomically
from .features import WIDE_POOLING, extract_features, raw_features
from .probe_arguments import ProbeArguments
from .probes import ProbeResult, check_labels, evaluate_probe, probe_folds
from .views import WithCopies, WithTurns


def load_model_and_processor(name: str) -> tuple[Any, Any]:
    """A model to probe, and the `SkeletonProcessor` beside it (the default one, in the model's size, where there is none).

    Args:
        name: Folder written by `save_pretrained`, or Hub id.

    Returns:
        A whole ViTMAE, DiffMAE or `PooledViTForImageClassification`, a `ViTModel`, or the encoder of another family.

    Raises:
        FileNotFoundError, ValueError: there is no such model, it is no vision backbone, or its weights do not fit its config.
    """
    from transformers import ViTMAEForPreTraining

    kind = model_type(name)
    model: Any
    if kind == "vit_mae":
        model, _ = load_weights(ViTMAEForPreTraining, name)
    elif kind == "diffmae":
        from ..models.modeling_diffmae import DiffMAEForPreTraining

        model, _ = load_weights(DiffMAEForPreTraining, name)
    else:
        model = load_backbone(name)
    return model.float().eval(), processor_for(model.config, name)


def probe_run(
    arguments: ProbeArguments,
    model: Any = None,
    processor: Any = None,
    dataset: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Probe the pretrained encoder, the untrained one of the same seed, and the raw joints, and write what came out.

    Args:
        arguments: Settings.
        model, processor: What `load_model_and_processor` returned; loaded here if None.
        dataset: "train" and "test" rows; loaded here if None.
        report: Gets a line for each number as it is measured.

    Returns:
        rows (of results.json, this run's alone), results (encoder -> setting -> `ProbeResult`), run_dir.

    Raises:
        ValueError: data without labels or classes, or images of another size than the model's.
    """
    from ..data.loading import as_rows, describe, load_skeletons

    if dataset is None:
        dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)
    dataset = splits_as_layout(dataset, arguments.to_layout)
    if model is None or processor is None:
        model, processor = load_model_and_processor(arguments.model)
    train, test = as_rows(dataset["train"]), as_rows(dataset["test"])
    for name, split in (("training", train), ("test", test)):
        if len(split) == 0:
            raise ValueError(f"{arguments.data} has no {name} clips; a probe needs both.")
    check_labels(train.labels, test.labels)  # now, not after minutes of reading features
    check_size(processor, model.config)
    if note := layout_note(processor, train.layouts):
        report(note)
    protocol = getattr(train, "name", None) or Path(arguments.data).name
    seed = _run_setting(arguments.model, "seed", 0) if arguments.seed is None else arguments.seed
    device = pick_device(arguments.device)
    facts: dict[str, Any] = {
        "dataset": protocol.rpartition("_")[0] or protocol, "protocol": protocol.rpartition("_")[2], "seed": seed,
        "method": arguments.method or _method(arguments.run_dir, model, protocol),
        "train_clips": len(train), "test_clips": len(test),
        "command": public_command(), "commit": current_commit(), "hardware": hardware_name(device),
    }  # fmt: skip
    class_names = list(train.class_names)
    num_classes = len(class_names) or None
    class_names = class_names or [str(label) for label in range(int(max(train.labels.max(), test.labels.max())) + 1)]
    rows: list[dict[str, Any]] = []
    results: dict[str, dict[str, ProbeResult]] = {}
    for name in dict.fromkeys(arguments.encoders):
        began = time.perf_counter()
        seen: Any = WithCopies(train, arguments.copies, arguments.augmentation, seed)
        if name == "raw_joints":  # a mean over views would leave their heights alone
            seen = WithTurns(seen, arguments.turns)
        times = len(seen) // len(train)
        folds = probe_folds(train, test.cameras, seed, arguments.validation, times)
        features = _features(name, model, processor, seen, test, seed, device, arguments)
        spent = time.perf_counter() - began
        for setting in dict.fromkeys(arguments.settings):
            began = time.perf_counter()
            pooling = "auto" if name == "raw_joints" else arguments.pooling
            result = evaluate_probe(
                setting,
                features[0],
                np.tile(train.labels, times),
                np.tile(train.subjects, times),
                features[1],
                test.labels,
                seed,
                num_classes,
                pooling,
                folds,
                metric="mean_class" if protocol in PROTOCOLS and PROTOCOLS[protocol].metric != "accuracy" else "top1",
            )
            seconds = spent + time.perf_counter() - began
            # beside the numbers of the format as recorded, and not in their place
            label = f"{setting}_{arguments.to_layout}" if arguments.to_layout else setting
            results.setdefault(name, {})[label] = result
            rows += [
                result_row(
                    **facts, setting=label, encoder=name, metric=metric, value=result.metrics[metric], seconds=seconds
                )
                for metric in METRICS
            ]
            shown = ", ".join(f"{metric} {100 * result.metrics[metric]:.1f} %" for metric in METRICS)
            choice = ", ".join(f"{key} {value}" for key, value in result.chosen.items())
            report(f"{name} {label}: {shown} ({choice}; {seconds:.1f} s)")
            if result.note:
                report(f"  note: {result.note}.")
    append_results(arguments.run_dir, rows, arguments.results_csv)
    _write_per_class(arguments.run_dir, protocol, class_names, describe(dataset, protocol), results)
    if arguments.card:
        _picture_and_card(arguments.run_dir, protocol, class_names, results, report)
    return {"run_dir": arguments.run_dir, "rows": rows, "results": results}


def _features(
    name: str, model: Any, processor: Any, train: Any, test: Any, seed: int, device: str, arguments: ProbeArguments
) -> list[Any]:
    if name == "raw_joints":
        learned = raw_features(train, arguments.num_frames)
        people = learned.shape[1] // (arguments.num_frames * get_layout(train[0]["layout"]).num_joints * 3)
        return [learned, raw_features(test, arguments.num_frames, people)]
    encoder: Any = backbone_of(model if name == "pretrained" else untrained_backbone(model, seed))
    known = poolings_of(encoder.config)
    if arguments.pooling not in ("auto", *known, WIDE_POOLING):
        expected = ", ".join(["auto", *known, WIDE_POOLING])
        raise ValueError(
            f"--pooling is {arguments.pooling!r}, but a {encoder.config.model_type!r} has none; expected one of {expected}."
        )
    wanted = known if arguments.pooling == "auto" else (arguments.pooling,)

    def features_of(rows: Any) -> dict[str, Any]:
        streams = [
            extract_features(
                encoder,
                rows,
                processor,
                arguments.batch_size,
                device,
                poolings=wanted,
                stream=stream,
                turns=arguments.turns,
            )
            for stream in arguments.streams or (None,)
        ]
        return {pooling: np.concatenate([one[pooling] for one in streams], axis=1) for pooling in wanted}

    return [features_of(train), features_of(test)]


def _run_setting(run_dir: str, name: str, default: Any) -> Any:
    """A setting of the pretraining run, from its run.yaml."""
    import yaml

    path = Path(run_dir) / "run.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return values.get(name, default) if isinstance(values, dict) else default


def _method(run_dir: Path, model: Any, protocol: str) -> str:
    """`mae` of `runs/mae_nw_ucla_xview`; the kind of model where the folder is not named after an experiment."""
    name = run_dir.resolve().name
    if name.endswith(f"_{protocol}") and not name.startswith("probe_"):
        return name.removesuffix(f"_{protocol}")
    return {"vit_mae": "mae"}.get(model.config.model_type, model.config.model_type)


def _write_per_class(
    run_dir: Path,
    protocol: str,
    class_names: list[str],
    data: dict[str, Any],
    results: Mapping[str, Mapping[str, ProbeResult]],
) -> None:
    """per_class.json: protocol -> data, class_names and, for each encoder and setting, choices, accuracy per class, confusion."""
    path = run_dir / "per_class.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    entry = known.get(protocol, {})
    encoders = entry.get("encoders", {}) if entry.get("class_names") == class_names else {}
    for encoder, by_setting in results.items():
        for setting, result in by_setting.items():
            support = result.confusion.sum(axis=1)
            accuracy = np.diag(result.confusion) / np.maximum(support, 1)
            encoders.setdefault(encoder, {})[setting] = {
                "chosen": result.chosen,
                "validation_top1": round(result.validation, 6),
                "note": result.note,
                "accuracy": [
                    round(float(value), 6) if count else None for value, count in zip(accuracy, support, strict=True)
                ],
                "test_clips": support.tolist(),
                "confusion": result.confusion.tolist(),
            }
    known[protocol] = {"data": data, "class_names": class_names, "encoders": encoders}
    text = json.dumps(known, indent=1)
    text = re.sub(
        r"\[[\s\d.,nul]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text
    )  # a row of numbers on one line
    write_atomically(path, text + "\n")


def _picture_and_card(
    run_dir: Path, protocol: str, class_names: list[str], results: Mapping[str, Mapping[str, ProbeResult]],
    report: Callable[[str], None],
) -> None:  # fmt: skip
    from ..hub.model_card import write_card
    from ..visualization.figures import MissingExtra, confusion_picture

    encoder = next(iter(results))  # in the order asked for: pretrained, unless it was left out
    setting, result = next(iter(results[encoder].items()))
    title = f"{protocol}, {setting.replace('_', ' ')} of {encoder.replace('_', ' ')}: top-1 {100 * result.metrics['top1']:.1f} %"
    try:
        confusion_picture(result.confusion, class_names, run_dir / "confusion.png", title)
    except MissingExtra as missing:
        report(f"No confusion.png: {missing}")
    write_card(run_dir)
