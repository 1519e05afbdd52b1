"""Zero-shot across joint layouts: a gallery of clips in one layout, queries in another, one encoder, nothing trained.

Every test clip is named by its nearest training clips (kNN on frozen features), while the two are seen in different layouts: 20 joints
in the gallery and 13 in the queries, say. Beside it stand the two numbers it lies between, both clips in the one layout and both in
the other, and the same for the untrained encoder. k and pooling are chosen on held-out training subjects, whose clips are queries of
the other layout as well; test labels are counted once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..data.skeleton_rows import as_layout
from ..evaluation.arguments import EncoderArguments
from ..evaluation.metrics import metric_rows, shown
from ..evaluation.probes import K_GRID, ProbeResult, as_text, check_labels, class_doubts, evaluate_probe
from ..evaluation.probing import load_model_and_processor, method_of
from ..evaluation.validation_splits import probe_folds
from ..models.backbones import backbone_of, untrained_backbone
from ..models.loading import shown as shown_name
from ..models.saved_models import pick_device
from ..processing.layouts import get_layout
from ..runs.results import append_results
from ..utils.arguments import arg

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ..processing.image_processing_skeleton import SkeletonProcessor


@dataclass(kw_only=True)
class CrossLayoutArguments(EncoderArguments):
    """Settings of the zero-shot comparison; each is a flag of `s2i cross-layout` and a key of its YAML files."""

    kind: ClassVar[str] = "cross_layout"

    gallery: str | None = arg(None, "Joint layout of the training clips, such as kinect_v1; as recorded if none.")
    queries: tuple[str, ...] = arg(("florence_15", "lcrnet_13"), "Joint layouts of the test clips, one after another.")
    encoders: tuple[Literal["pretrained", "untrained"], ...] = arg(("pretrained", "untrained"), "What to compare.")

    def __post_init__(self) -> None:
        for layout in (*self.queries, *([self.gallery] if self.gallery else [])):
            get_layout(layout)
        super().__post_init__()


def cross_layout_run(
    arguments: CrossLayoutArguments,
    model: PreTrainedModel | None = None,
    processor: SkeletonProcessor | None = None,
    dataset: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Name the test clips of every query layout by training clips of the gallery layout, and write what came out.

    The arguments are those of `probing.probe_run`.

    Returns:
        rows (of results.json, setting `knn_<gallery>_to_<queries>`), results ((encoder, gallery, queries) -> `ProbeResult`), run_dir.

    Raises:
        ValueError: no clips or no labels, or a layout whose joints the recorded one lacks.
    """
    splits, protocol = arguments.clips(dataset)
    train, test = splits["train"], splits["test"]
    check_labels(train.labels, test.labels, arguments.data)
    for doubt in class_doubts(train, test):
        report(f"Warning: {doubt}")
    recorded = sorted({get_layout(layout).name for layout in train.layouts})
    if len(recorded) > 1 and not arguments.gallery:
        raise ValueError(f"the training clips are in {', '.join(recorded)}; name that of the gallery with --gallery.")
    gallery = arguments.gallery or recorded[0]
    # every layout once; one whose joints are not there is refused before anything is computed
    layouts = list(dict.fromkeys((gallery, *arguments.queries)))
    clips = {layout: (as_layout(train, layout), as_layout(test, layout)) for layout in layouts}
    if model is None or processor is None:
        model, processor = load_model_and_processor(arguments.model)
    method = arguments.method or method_of(model)
    facts = arguments.facts(train, test, protocol, seed=arguments.seed, method=method)
    folds = probe_folds(train, test.cameras, arguments.seed)
    pairs = [(gallery, gallery)]
    for layout in dict.fromkeys(arguments.queries):
        pairs += [(gallery, layout), (layout, layout)] if layout != gallery else []
    rows: list[dict[str, Any]] = []
    results: dict[tuple[str, str, str], ProbeResult] = {}
    report(
        f"Comparing {shown_name(arguments.model)} on {protocol}: {len(train):,} clips as the gallery, {len(test):,} as queries, each in "
        f"{', '.join(layouts)}, on {pick_device(arguments.device)}."
    )
    for name in dict.fromkeys(arguments.encoders):
        encoder = backbone_of(model if name == "pretrained" else untrained_backbone(model, arguments.seed))
        began = time.perf_counter()
        features = {key: [arguments.features(encoder, part, processor) for part in both] for key, both in clips.items()}
        spent = (time.perf_counter() - began) / len(clips)
        for left, right in pairs:
            began = time.perf_counter()
            (known, _), (known_as_queries, asked) = features[left], features[right]
            how: dict[str, Any] = {"folds": folds, "train_as_test": known_as_queries, "patience": len(K_GRID)}
            result = evaluate_probe("knn", known, train.labels, train.subjects, asked, test.labels, **how)
            seconds = (1 if left == right else 2) * spent + time.perf_counter() - began
            results[name, left, right] = result
            setting = f"knn_{left}_to_{right}"
            rows += metric_rows(result.metrics, setting=setting, encoder=name, seconds=seconds, **facts)
            report(f"{name}, gallery {left}, queries {right}: {shown(result.metrics)} ({as_text(result.chosen)})")
    append_results(arguments.run_dir, rows, arguments.results_csv)
    return {"run_dir": arguments.run_dir, "rows": rows, "results": results}
