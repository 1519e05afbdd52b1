"""Two folders that stages of the accuracy benchmark start from and that no example writes.

    python benchmarks/accuracy_prepare.py --what untrained --model config:tiny --data nw_ucla_xview --data_dir DIR --output_dir OUT
    python benchmarks/accuracy_prepare.py --what subset --clips 102 --data nw_ucla_xview --data_dir DIR --output_dir OUT

untrained: a masked autoencoder before its first step, and its processor, for the probes of raw joints and of the untrained encoder.
subset: a part of the training split with two splits of its own, to choose settings without the test clips: so many clips with labels to
learn from, and held-out people (on a view that is not learned from, where the test camera is new) to count on.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.utils.arguments import arg, parse, run_main


@dataclass
class PrepareArguments:
    """Settings of this program."""

    what: Literal["untrained", "subset"] = arg(help="Which folder.")
    data: str = arg(help="Protocol, such as nw_ucla_xview, or a folder written by `s2i convert`.")
    output_dir: str = arg(help="Where to; what is there is replaced.")
    data_dir: str | None = arg(None, "Folder with the raw files of the protocol.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    model: str = arg("config:tiny", "Of untrained: config:micro|tiny|small|base|large.")
    size: int = arg(112, "Of untrained: side of the image in pixels.")
    clips: int = arg(100, "Of subset: clips with labels to learn from.")
    seed: int = arg(0, "Of the weights, or of the people held out and the labels drawn.")


def prepare_folder(arguments: PrepareArguments, dataset: Any = None) -> Path:
    """Write the folder, whole or not at all.

    Raises:
        ValueError: fewer clips than classes, or more than there are beside the held-out people.
    """
    if dataset is None:
        dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)
    folder = Path(arguments.output_dir)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if arguments.what == "untrained":
        _write_untrained(arguments, as_rows(dataset["train"]), partial)
    else:
        _write_subset(arguments, as_rows(dataset["train"]), as_rows(dataset["test"]), partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def _write_untrained(arguments: PrepareArguments, rows: Any, folder: Path) -> None:
    from s2i_hf.models.building import build_mae
    from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor

    layouts = sorted(set(rows.layouts))
    SkeletonProcessor(layout=layouts[0] if len(layouts) == 1 else None, size=arguments.size).save_pretrained(folder)
    build_mae(arguments.model, image_size=arguments.size, seed=arguments.seed).save_pretrained(folder)


def _write_subset(arguments: PrepareArguments, train: Any, test: Any, folder: Path) -> None:
    from s2i_hf.data.label_subsets import stratified_share
    from s2i_hf.data.storage import FolderWriter
    from s2i_hf.evaluation.validation_splits import validation_folds
    from s2i_hf.processing.skeleton_sequence import SkeletonSequence
    from s2i_hf.protocols import get_protocol

    folds, _ = validation_folds(train.subjects, train.labels, arguments.seed, train.cameras, test.cameras)
    fit, choose = (np.flatnonzero(mask) for mask in folds[0])
    if arguments.clips > len(fit):
        raise ValueError(
            f"--clips is {arguments.clips}, but {len(fit)} clips remain beside those of the held-out people."
        )
    drawn = fit[stratified_share(train.labels[fit], arguments.clips / len(fit), arguments.seed)]
    writer = FolderWriter(folder, get_protocol(train.name), "npz", ("train", "test"))
    for split, indices in (("train", drawn), ("test", choose)):
        for index in indices:
            writer.write(split, SkeletonSequence(**train[int(index)]))
    writer.close({})
    print(f"{len(drawn)} clips to learn from, {len(choose)} to choose settings by.")


def main() -> None:
    print(f"Done: {prepare_folder(parse(PrepareArguments, description=__doc__))}")


if __name__ == "__main__":
    run_main(main)
