"""Zero-shot across joint formats: a gallery of clips in one format, queries in another, one encoder, nothing trained.

Every test clip is named by its nearest training clips (kNN on frozen features), while the two are seen in different formats: 20 joints
in the gallery and 13 in the queries, say. Beside it stand the two numbers it lies between, both clips in the one format and both in
the other, and the same for the untrained encoder. k and pooling are chosen on held-out training subjects, whose clips are queries of
the other format as well; test labels are counted once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..data.skeleton_rows import AsLayout, SkeletonRows, as_rows
from ..evaluation.features import extract_features
from ..evaluation.probes import K_GRID, Folds, knn_scores, metrics, probe_folds
from ..evaluation.probing import load_model_and_processor
from ..models.backbones import backbone_of, untrained_backbone
from ..models.loading import check_model_name
from ..models.saved_models import pick_device
from ..processing.layouts import get_layout
from ..runs.provenance import current_commit, hardware_name, public_command
from ..runs.results import METRICS, append_results, result_row, results_dir
from ..utils.arguments import arg

Features = Mapping[str, np.ndarray]


@dataclass
class CrossFormatArguments:
    """Settings of the zero-shot comparison; each is a flag of `examples/cross_format.py` and a key of its YAML files."""

    model: str = arg(help="Run folder of a pretraining, or a Hub id.")
    data: str = arg(help="Protocol, such as nw_ucla_xview, or a folder written by `s2i convert`.")
    data_dir: str | None = arg(None, "Folder with the raw files of the protocol.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    gallery: str | None = arg(None, "Joint format of the training clips, such as kinect_v1; as recorded if none.")
    queries: tuple[str, ...] = arg(
        ("florence_15", "lcrnet_13"), "Joint formats of the test clips, one after the other."
    )
    encoders: tuple[Literal["pretrained", "untrained"], ...] = arg(("pretrained", "untrained"), "What to compare.")
    output_dir: str | None = arg(None, "Where the results go; the run folder itself if none.")
    turns: int = arg(1, "Views that the features of a clip are the mean of, as in examples/probe.py.")
    batch_size: int = arg(64, "Clips a forward pass.")
    seed: int = arg(0, "Seed of the untrained encoder and of the held-out subjects.")
    method: str | None = arg(None, "Name in the results; the kind of model if none.")
    results_csv: str | None = arg(None, "Also append the rows to this table, such as model_cards/results.csv.")
    device: str = arg("auto", "cpu, cuda, cuda:1 ...; auto takes an accelerator if there is one.")

    def __post_init__(self) -> None:
        for name in ("batch_size", "turns"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} is {getattr(self, name)}; expected 1 or more.")
        for name in ("queries", "encoders"):
            if not getattr(self, name):
                raise ValueError(f"--{name} is empty; name at least one.")
        for layout in (*self.queries, *([self.gallery] if self.gallery else [])):
            get_layout(layout)
        check_model_name(self.model)  # now, not after minutes of reading data

    @property
    def run_dir(self) -> Path:
        """Where results go."""
        return results_dir("cross_format", self.output_dir, self.model, self.data)


@dataclass
class CrossFormatResult:
    """One gallery format against one query format.

    Args:
        metrics: top1, top5 and mean_class on the test clips, 0 to 1.
        chosen: "k" and "pooling", chosen on held-out training subjects; validation: top-1 there.
        predictions: (N_test,) class indices.
    """

    metrics: dict[str, float]
    chosen: dict[str, Any]
    validation: float
    predictions: np.ndarray


def knn_across(
    gallery: Features, gallery_y: Any, gallery_as_queries: Features, queries: Features, queries_y: Any, folds: Folds
) -> CrossFormatResult:
    """kNN whose gallery and queries are two kinds of clip.

    Args:
        gallery: Pooling -> (N, D) features of the training clips in the format of the gallery.
        gallery_y: (N,) labels.
        gallery_as_queries: The same N clips in the format of the queries, to choose settings by.
        queries: Pooling -> (N_test, D) features of the test clips; queries_y: (N_test,) labels, used for counting only.
        folds: (clips to fit on, clips to choose by) masks over the N, from `evaluation.validation_folds`.
    """
    gallery_y, queries_y = np.asarray(gallery_y), np.asarray(queries_y)
    num_classes = int(max(gallery_y.max(), queries_y.max())) + 1
    best: tuple[float, str, int] = (-1.0, next(iter(gallery)), K_GRID[0])
    for pooling, features in gallery.items():
        tried = [
            list(knn_scores(features[fit], gallery_y[fit], gallery_as_queries[pooling][held], K_GRID, num_classes))
            for fit, held in folds
        ]
        truth = np.concatenate([gallery_y[held] for _, held in folds])
        for k, *found in zip(K_GRID, *tried, strict=True):
            accuracy = metrics(np.concatenate(found), truth)["top1"] if len(truth) else 0.0
            if accuracy > best[0]:  # the first of equals: fewest neighbours
                best = (accuracy, pooling, k)
    validation, pooling, k = best
    scores = next(iter(knn_scores(gallery[pooling], gallery_y, queries[pooling], (k,), num_classes)))
    return CrossFormatResult(
        metrics(scores, queries_y), {"k": k, "pooling": pooling}, validation, scores.argmax(axis=1)
    )


def cross_format_run(
    arguments: CrossFormatArguments,
    model: Any = None,
    processor: Any = None,
    dataset: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Name the test clips of every query format by training clips of the gallery format, and write what came out.

    Args:
        arguments: Settings.
        model, processor: What `probing.load_model_and_processor` returned; loaded here if None.
        dataset: "train" and "test" rows; loaded here if None.
        report: Gets a line for each number as it is measured.

    Returns:
        rows (of results.json, setting `knn_<gallery>_to_<queries>`), results ((encoder, gallery, queries) -> `CrossFormatResult`), run_dir.

    Raises:
        ValueError: no clips or no labels, or a format whose joints the recorded one lacks.
    """
    from ..data.loading import load_skeletons

    if dataset is None:
        dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)
    train, test = as_rows(dataset["train"]), as_rows(dataset["test"])
    for name, split in (("training", train), ("test", test)):
        if len(split) == 0:
            raise ValueError(f"{arguments.data} has no {name} clips; a gallery and queries need both.")
        if split.labels.min() < 0:
            raise ValueError(f"{int((split.labels < 0).sum())} {name} clips have no label (-1); kNN needs their class.")
    gallery = arguments.gallery or _recorded(train)
    # every format once; a format whose joints are not there is refused before anything is computed
    formats = list(dict.fromkeys((gallery, *arguments.queries)))
    splits = {layout: (AsLayout(train, layout), AsLayout(test, layout)) for layout in formats}
    if model is None or processor is None:
        model, processor = load_model_and_processor(arguments.model)
    protocol = train.name or Path(arguments.data).name
    device = pick_device(arguments.device)
    facts: dict[str, Any] = {
        "dataset": protocol.rpartition("_")[0] or protocol, "protocol": protocol.rpartition("_")[2], "seed": arguments.seed,
        "method": arguments.method or {"vit_mae": "mae"}.get(model.config.model_type, model.config.model_type),
        "train_clips": len(train), "test_clips": len(test),
        "command": public_command(), "commit": current_commit(), "hardware": hardware_name(device),
    }  # fmt: skip
    folds = probe_folds(train, test.cameras, arguments.seed)
    pairs = [(gallery, gallery)]
    for layout in dict.fromkeys(arguments.queries):
        pairs += [(gallery, layout), (layout, layout)] if layout != gallery else []
    rows: list[dict[str, Any]] = []
    results: dict[tuple[str, str, str], CrossFormatResult] = {}
    for encoder_name in dict.fromkeys(arguments.encoders):
        encoder = backbone_of(model if encoder_name == "pretrained" else untrained_backbone(model, arguments.seed))
        began, features = time.perf_counter(), {}
        for layout, both in splits.items():
            features[layout] = [
                extract_features(encoder, part, processor, arguments.batch_size, device, turns=arguments.turns)
                for part in both
            ]
        spent = (time.perf_counter() - began) / len(splits)
        for left, right in pairs:
            began = time.perf_counter()
            (known, _), (known_as_queries, asked) = features[left], features[right]
            result = knn_across(known, train.labels, known_as_queries, asked, test.labels, folds)
            seconds = (1 if left == right else 2) * spent + time.perf_counter() - began
            results[encoder_name, left, right] = result
            rows += [
                result_row(
                    **facts, setting=f"knn_{left}_to_{right}", encoder=encoder_name, metric=metric,
                    value=result.metrics[metric], seconds=seconds,
                )
                for metric in METRICS
            ]  # fmt: skip
            shown = ", ".join(f"{metric} {100 * result.metrics[metric]:.1f} %" for metric in METRICS)
            choice = ", ".join(f"{key} {value}" for key, value in result.chosen.items())
            report(f"{encoder_name}, gallery {left}, queries {right}: {shown} ({choice})")
    append_results(arguments.run_dir, rows, arguments.results_csv)
    return {"run_dir": arguments.run_dir, "rows": rows, "results": results}


def _recorded(rows: SkeletonRows) -> str:
    found = sorted({get_layout(layout).name for layout in rows.layouts})
    if len(found) > 1:
        raise ValueError(
            f"the training clips are in {', '.join(found)}; name the format of the gallery with --gallery."
        )
    return found[0]
