"""The probe run: a pretrained encoder beside its untrained twin and the raw joints, every number into `results.json`.

Reads a run folder (or a model of the Hub) and a dataset; writes results.json, per_class.json, confusion.png and the card.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ..data.loading import describe
from ..data.skeleton_rows import SkeletonRows
from ..hub.model_card import write_card
from ..models.backbones import backbone_of, load_backbone, poolings_of, untrained_backbone
from ..models.building import pretraining_class
from ..models.loading import load_config, load_weights, shown as shown_name
from ..models.saved_models import check_size, layout_note, pick_device, processor_for
from ..processing.encoding import Stream
from ..processing.layouts import get_layout
from ..runs.results import ENCODERS, append_results, class_report, write_class_report
from ..runs.run_folder import RunFolder
from ..utils.arguments import arg
from ..utils.text import duration
from ..visualization.figures import confusion_picture, drawing
from .arguments import FittedArguments
from .features import WIDE_POOLING, Features, Rows, raw_features
from .metrics import metric_of, metric_rows, shown
from .probes import SETTINGS, ProbeResult, as_text, check_labels, class_doubts, evaluate_probe

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ..processing.image_processing_skeleton import SkeletonProcessor


@dataclass(kw_only=True)
class ProbeArguments(FittedArguments):
    """Settings of a probe; each is a flag of `s2i probe` and a key of its YAML files."""

    kind: ClassVar[str] = "probe"

    encoders: tuple[Literal["pretrained", "untrained", "raw_joints"], ...] = arg(ENCODERS, "What to probe.")
    settings: tuple[Literal["linear_probe", "knn"], ...] = arg(SETTINGS, "How to probe it.")
    pooling: Literal["auto", "mean", "cls", "part", "part_std"] = arg(
        "auto",
        "Features; auto chooses mean, cls or part on held-out training subjects. part_std: part, and its variation in time.",
    )
    streams: tuple[Stream, ...] = arg(
        (), "Features of these images of each clip side by side; of the processor's own stream if none."
    )
    validation: Literal["auto", "subjects", "cameras"] = arg(
        "auto", "Held out to choose settings: subjects; or a training camera in turn; auto: as the test's cameras ask."
    )
    num_frames: int = arg(16, "Frames that raw joints are resampled to.")
    seed: int | None = arg(None, "Seed of the untrained encoder and of the held-out subjects; the run's own if none.")  # type: ignore[assignment]
    card: bool = arg(True, "Write README.md and confusion.png.")

    def __post_init__(self) -> None:
        if len(set(self.streams)) < len(self.streams):
            raise ValueError(f"--streams names something twice: {', '.join(self.streams)}; expected each once.")
        super().__post_init__()


def load_model_and_processor(name: str) -> tuple[PreTrainedModel, SkeletonProcessor]:
    """A model to probe, and the `SkeletonProcessor` beside it (the default one, in the model's size, where there is none).

    Returns:
        Of a folder or Hub id a whole ViTMAE, DiffMAE or `PooledViTForImageClassification`, a `ViTModel`, or the encoder of another family.

    Raises:
        FileNotFoundError, ValueError: there is no such model, it is no vision backbone, or its weights do not fit its config.
    """
    config = load_config(name)
    whole = config.model_type in ("vit_mae", "diffmae")
    model: Any = load_weights(pretraining_class(config), name)[0] if whole else load_backbone(name)
    return model.float().eval(), processor_for(model.config, name)


def method_of(model: PreTrainedModel) -> str:
    """Name of a model's training in results: "mae", "diffmae", or the kind of model."""
    kind = str(model.config.model_type)
    return {"vit_mae": "mae"}.get(kind, kind)


def probe_run(
    arguments: ProbeArguments,
    model: PreTrainedModel | None = None,
    processor: SkeletonProcessor | None = None,
    dataset: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Probe the pretrained encoder, the untrained one of the same seed, and the raw joints, and write what came out.

    Args:
        model, processor: What `load_model_and_processor` returned; loaded here if None.
        dataset: "train" and "test" rows; loaded here if None.
        report: Gets a line for each number as it is measured.

    Returns:
        rows (of results.json, this run's alone), results (encoder -> setting -> `ProbeResult`), run_dir.

    Raises:
        ValueError: data without labels or classes, or images of another size than the model's.
    """
    splits, protocol = arguments.clips(dataset, arguments.to_layout)
    train, test = splits["train"], splits["test"]
    if model is None or processor is None:
        model, processor = load_model_and_processor(arguments.model)
    check_labels(train.labels, test.labels, arguments.data)  # now, not after minutes of reading features
    check_size(processor, model.config)
    if note := layout_note(processor, train.layouts):
        report(note)
    doubts = class_doubts(train, test)
    for doubt in doubts:
        report(f"Warning: {doubt}")
    seed = int(RunFolder(Path(arguments.model)).settings.get("seed", 0)) if arguments.seed is None else arguments.seed
    folder = arguments.run_dir.resolve().name  # `mae` of `runs/mae_nw_ucla_xview`, if it is named after an experiment
    named = folder.endswith(f"_{protocol}") and not folder.startswith("probe_")
    method = arguments.method or (folder.removesuffix(f"_{protocol}") if named else method_of(model))
    facts = arguments.facts(train, test, protocol, method=method, seed=seed)
    shared: dict[str, Any] = {
        "seed": seed,
        "num_classes": len(train.class_names) or None,
        "metric": metric_of(protocol),
    }
    class_names = list(train.class_names) or list(map(str, range(int(max(train.labels.max(), test.labels.max())) + 1)))
    encoders, settings = dict.fromkeys(map(str, arguments.encoders)), dict.fromkeys(arguments.settings)
    report(
        f"Probing {shown_name(arguments.model)} on {protocol}: {len(train):,} clips train, {len(test):,} test; {', '.join(settings)} on "
        f"features of {', '.join(encoders)}, on {pick_device(arguments.device)}."
    )
    rows: list[dict[str, Any]] = []
    results: dict[str, dict[str, ProbeResult]] = {}  # by encoder and setting
    reports: dict[str, dict[str, Any]] = {}
    noted = {""}  # each is said once
    for name in encoders:
        began = time.perf_counter()
        # of raw joints, a mean over views would leave their heights alone
        rotations = arguments.rotations if name == "raw_joints" else 1
        views = arguments.views(train, test, seed, arguments.validation, rotations)
        encoder: Any = None  # raw joints
        if name != "raw_joints":
            encoder = backbone_of(model if name == "pretrained" else untrained_backbone(model, seed))
        learned, asked = _features(encoder, processor, views.rows, test, arguments)
        spent = time.perf_counter() - began
        report(f"{name}: features of {len(views.rows) + len(test):,} clips read in {duration(spent)}")
        for setting in settings:
            began = time.perf_counter()
            pooling = "auto" if name == "raw_joints" else arguments.pooling
            how = {**shared, "pooling": pooling, "folds": views.folds}
            result = evaluate_probe(setting, learned, views.labels, views.subjects, asked, test.labels, **how)
            seconds = spent + time.perf_counter() - began
            # beside the numbers of the layout as recorded, and not in their place
            label = f"{setting}_{arguments.to_layout}" if arguments.to_layout else setting
            results.setdefault(name, {})[label] = result
            top1 = round(result.validation, 6)
            remarks = "; ".join(filter(None, [result.note, *(doubt.rstrip(".") for doubt in doubts)]))
            classes = class_report(result.confusion, result.chosen, remarks, validation_top1=top1)
            reports.setdefault(name, {})[label] = classes
            rows += metric_rows(result.metrics, setting=label, encoder=name, seconds=seconds, **facts)
            report(f"{name} {label}: {shown(result.metrics)} ({as_text(result.chosen)}; {seconds:.1f} s)")
            if result.note not in noted:
                report(f"  note: {result.note}.")
                noted.add(result.note)
    append_results(arguments.run_dir, rows, arguments.results_csv)
    write_class_report(arguments.run_dir, protocol, class_names, describe(splits, protocol), reports)
    if arguments.card:
        name, by_setting = next(iter(results.items()))  # in the order asked for: pretrained, unless it was left out
        label, result = next(iter(by_setting.items()))
        what = f"{label} of {name}".replace("_", " ")
        title = f"{protocol}, {what}: top-1 {100 * result.metrics['top1']:.1f} %"
        with drawing(arguments.run_dir / "confusion.png", report) as path:
            confusion_picture(result.confusion, class_names, path, title)
        write_card(arguments.run_dir)
    return {"run_dir": arguments.run_dir, "rows": rows, "results": results}


def _features(
    encoder: Any, processor: SkeletonProcessor, train: Rows, test: SkeletonRows, arguments: ProbeArguments
) -> tuple[np.ndarray | Features, np.ndarray | Features]:
    """Features of what is fitted on and of the test clips; the joints themselves without an encoder."""
    if encoder is None:
        learned = raw_features(train, arguments.num_frames)
        people = learned.shape[1] // (arguments.num_frames * get_layout(train[0]["layout"]).num_joints * 3)
        return learned, raw_features(test, arguments.num_frames, people)
    known, kind = poolings_of(encoder.config), encoder.config.model_type
    if arguments.pooling not in ("auto", *known, WIDE_POOLING):
        expected = ", ".join(["auto", *known, WIDE_POOLING])
        raise ValueError(f"--pooling is {arguments.pooling!r}, but a {kind!r} has none; expected one of {expected}.")
    wanted = known if arguments.pooling == "auto" else (arguments.pooling,)

    def features_of(rows: Rows) -> Features:
        streams = [
            arguments.features(encoder, rows, processor, poolings=wanted, stream=stream)
            for stream in arguments.streams or (None,)
        ]
        return {pooling: np.concatenate([one[pooling] for one in streams], axis=1) for pooling in wanted}

    return features_of(train), features_of(test)
