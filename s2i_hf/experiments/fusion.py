"""Several classifiers as one: the joint, bone, motion and bone motion streams of the same clips, their probabilities averaged.

Four streams are four images of a clip and four models (as in MS-AAGCN, Shi et al., arXiv 1912.06971, and CTR-GCN). Weights are equal
unless they are chosen on validation clips; a table of fused numbers whose weights were found on the test clips says nothing.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.skeleton_rows import SkeletonRows, rows_of_splits
from ..evaluation.arguments import EvaluationArguments
from ..evaluation.metrics import metric_of, metric_rows, metrics, quick_metrics, shown
from ..evaluation.scoring import predict_scores
from ..hub.model_card import write_card
from ..models.saved_models import check_classes, check_classifier, open_classifier, pick_device
from ..runs.results import append_results
from ..runs.run_folder import RunFolder
from ..training.finetune_arguments import FinetuneArguments
from ..training.finetune_data import choose_clips
from ..utils.arguments import arg, from_values
from ..utils.files import write_json

STEPS = 10  # weights are tried in tenths: streams are few, and so are the clips that choose


@dataclass(kw_only=True)
class FuseArguments(EvaluationArguments):
    """Settings of a fusion; each is a flag of `s2i fuse` and a key of its YAML files."""

    models: tuple[str, ...] = arg(help="Run folders of fine-tunings, or Hub ids: one classifier a stream.")
    output_dir: str | None = arg(None, "Where the results go; runs/fusion_<data> if none.")
    weights: str = arg("equal", "equal, validation (chosen on clips that all runs held out), or a number a model: 2,1.")
    test_clips: int = arg(1, "Windows of each test clip whose probabilities are averaged.")
    test_rotations: int = arg(
        1, "Rotations of them, over the circle, averaged too: for a camera that was not trained on."
    )
    method: str | None = arg(None, "Name in the results; the streams, such as joint+bone+motion, if none.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.models) < 2:
            raise ValueError(f"--models names {len(self.models)}; a fusion needs at least two classifiers.")
        twice = [name for name in self.models if self.models.count(name) > 1]
        if twice:
            raise ValueError(f"--models names {twice[0]!r} twice; give it a larger weight with --weights instead.")
        _ = self.fixed_weights  # refuses bad values now

    @property
    def model_names(self) -> tuple[str, ...]:
        """The classifiers."""
        return self.models

    @property
    def run_dir(self) -> Path:
        """Where results go."""
        return Path(self.output_dir or f"runs/fusion_{Path(self.data).name}")

    @property
    def fixed_weights(self) -> np.ndarray | None:
        """(K,) weights that add up to 1; None if they are to be chosen on validation clips.

        Raises:
            ValueError: `weights` is neither a word nor a number for each model.
        """
        if self.weights == "validation":
            return None
        words = self.weights.replace(",", " ").split()
        try:
            values = [1.0] * len(self.models) if self.weights == "equal" else [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) != len(self.models):
            raise ValueError(f"--weights {self.weights!r}: expected equal, validation, or {len(self.models)} numbers.")
        return _normalised(values)


def _normalised(weights: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(weights, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or values.min(initial=0) < 0 or values.sum() <= 0:
        raise ValueError(f"the weights are {values.tolist()}; expected numbers of zero or more, not all zero.")
    return values / values.sum()


def fuse_scores(scores: Sequence[np.ndarray], weights: Sequence[float] | np.ndarray | None = None) -> np.ndarray:
    """The weighted mean of several models' probabilities, as (N, C) float32 log-probabilities.

    Args:
        scores: (N, C) log-probabilities of each of K models, of the same clips in the same order.
        weights: K numbers of zero or more, scaled to add up to 1; None: equal.

    Raises:
        ValueError: shapes or number of weights differ, or a weight is negative.
    """
    shapes = {np.shape(one) for one in scores}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"scores to fuse have the shapes {sorted(shapes)}; expected one (N, C) for all models.")
    shares = _normalised(np.ones(len(scores)) if weights is None else weights)
    if len(shares) != len(scores):
        raise ValueError(f"there are {len(shares)} weights for {len(scores)} models; expected one a model.")
    with np.errstate(divide="ignore"):  # the log of a weight or a probability of zero
        logs = np.stack([np.asarray(one, dtype=np.float64) for one in scores]) + np.log(shares)[:, None, None]
        return np.logaddexp.reduce(logs, axis=0).astype(np.float32)


def choose_weights(
    scores: Sequence[np.ndarray], labels: np.ndarray, metric: str = "top1", steps: int = STEPS
) -> tuple[np.ndarray, float]:
    """Weights that are best on validation clips, among all in steps of 1 / `steps`.

    Args:
        scores: (N, C) log-probabilities of each of K models on clips that none of them was trained on.
        labels: (N,) their classes.
        metric: "top1" or "mean_class". Of equals those with the higher probability of the true classes win.

    Returns:
        (K,) weights that add up to 1, and the metric of the fused scores with them.
    """
    labels = np.asarray(labels, dtype=np.int64)

    def quality(shares: Sequence[int]) -> tuple[float, float]:
        fused = fuse_scores(scores, shares)
        likelihood = float(np.maximum(fused[np.arange(len(labels)), labels], -30.0).mean())
        return quick_metrics(fused, labels)[metric], likelihood

    last = steps + len(scores) - 1  # between two of the cuts, -1 and this one lies a model's share
    cuts = itertools.combinations(range(last), len(scores) - 1)
    shares = ([right - left - 1 for left, right in itertools.pairwise((-1, *places, last))] for places in cuts)
    best = max(shares, key=quality)
    return _normalised(best), quality(best)[0]


def fuse_runs(
    arguments: FuseArguments, dataset: Mapping[str, Any] | None = None, report: Callable[[str], None] = print
) -> dict[str, Any]:
    """Score the test clips with every model, fuse the scores, and write what came out; called as `probing.probe_run` is.

    Returns:
        rows (of results.json, setting "fusion"), alone (name -> metrics), fused (metrics), weights (K,), scores ((N, C)
        log-probabilities of the fusion), run_dir.

    Raises:
        ValueError: a model is no classifier or has other classes than the data; weights are to be chosen on validation clips and the
            runs did not hold out the same ones.
    """
    began = time.perf_counter()
    arguments.check(dataset)
    for name in arguments.models:  # all of them, before any is run
        check_classifier(name)
    clips, protocol = arguments.clips(dataset)
    train, test = clips["train"], clips["test"]
    options: Any = {name: getattr(arguments, name) for name in ("test_clips", "test_rotations", "batch_size")}
    options["device"] = pick_device(arguments.device)
    runs = [RunFolder(Path(name)) for name in arguments.models]  # of a Hub id nothing is known but its model
    weights, held = arguments.fixed_weights, None
    if weights is None:
        held = held_out_by_all(train, [run.settings for run in runs], arguments.models)
    test_scores, held_scores, streams, found_alone = [], [], [], []
    for name, run in zip(arguments.models, runs, strict=True):
        model, processor = open_classifier(name)
        check_classes(model, test, name)
        parts = {"test": test, **({"held": train.select(held)} if held is not None else {})}
        in_layout = rows_of_splits(parts, run.settings.get("to_layout"))
        found = {part: predict_scores(model, rows, processor, **options) for part, rows in in_layout.items()}
        test_scores.append(found["test"])
        held_scores += [found["held"]] if held is not None else []
        streams.append(processor.stream)
        found_alone.append(metrics(found["test"], test.labels))
        report(f"{Path(name).name} ({processor.stream}): {shown(found_alone[-1])}")
    chosen_on = None
    if weights is None:
        assert held is not None
        metric = metric_of(protocol)
        weights, validation = choose_weights(held_scores, train.labels[held], metric)
        chosen_on = {"clips": len(held), metric: validation}
        report(f"weights {_of(weights)} chosen on {len(held)} held-out training clips ({100 * validation:.1f} % there)")
    scores = fuse_scores(test_scores, weights)
    fused = metrics(scores, test.labels)
    report(f"fusion with weights {_of(weights)}: {shown(fused)}")
    names = [Path(name).name for name in arguments.models]  # public; whole names where these are not distinct
    names = names if len(set(names)) == len(names) else list(arguments.models)
    alone = dict(zip(names, found_alone, strict=True))
    encoder = "untrained" if any(run.starts_untrained for run in runs) else "pretrained"
    seconds, seed = time.perf_counter() - began, int(runs[0].settings.get("seed", 0))
    shared = {"encoder": encoder, "method": arguments.method or "+".join(streams), "seed": seed, "seconds": seconds}
    rows = metric_rows(fused, setting="fusion", **arguments.facts(train, test, protocol, **shared))
    append_results(arguments.run_dir, rows, arguments.results_csv)
    content: dict[str, Any] = {"protocol": protocol, "streams": streams, "weights": weights.round(6).tolist()}
    content |= {"weights_from": arguments.weights, "chosen_on": chosen_on, "test_clips": len(test)}
    content |= {"windows": arguments.test_clips, "rotations": arguments.test_rotations}
    content |= {"alone": alone, "fused": fused, **arguments.origin}
    write_json(arguments.run_dir / "fusion.json", content, indent=1)
    write_card(arguments.run_dir)
    measured = {"alone": alone, "fused": fused, "weights": weights, "scores": scores}
    return {"run_dir": arguments.run_dir, "rows": rows, **measured}


def held_out_by_all(rows: SkeletonRows, settings: Sequence[Mapping[str, Any]], names: Sequence[str]) -> np.ndarray:
    """Indices of the training clips that every run held out for validation.

    Args:
        rows: All training clips.
        settings: Of each run, from its run.yaml; `names` are what the runs are called in errors.

    Raises:
        ValueError: a run held out nothing, or others than the first run: one of the models was trained on clips that would choose.
    """
    first: list[str] = []
    for name, setting in zip(names, settings, strict=True):
        if setting.get("validation", "none") == "none":
            raise ValueError(
                f"{name!r} held out no training clips to choose weights on; train it with --validation subjects, or use "
                "--weights equal."
            )
        # whether the encoder it started from is still there does not matter here
        arguments = from_values(FinetuneArguments, {**setting, "model": "config:micro"}, f"{name}/run.yaml")
        _, held = choose_clips(arguments, rows)
        ids = [] if held is None else sorted(held.sample_ids)
        if first and ids != first:
            raise ValueError(
                f"{name!r} held out other training clips than {names[0]!r}; give the runs the same --validation, --seed, --label_share "
                "and --label_seed, or use --weights equal."
            )
        first = ids
    return np.flatnonzero(np.isin(rows.sample_ids, first))


def _of(weights: np.ndarray) -> str:
    return " : ".join(f"{value:.2g}" for value in weights)
