"""`s2i finetune`."""

from __future__ import annotations

from ..data.loading import check_sources, load_skeletons
from ..data.skeleton_rows import rows_of_splits
from ..training.finetune_arguments import FinetuneArguments
from ..training.finetune_data import load_classifier
from ..training.finetuning import finetune as run, start


def finetune(arguments: FinetuneArguments) -> None:
    """A classifier.

    s2i finetune --model runs/mae_nw_ucla_xview --data nw_ucla_xview --data_dir DIR
    s2i finetune --config nw_ucla_xview/finetune --model runs/mae_nw_ucla_xview --data_dir DIR
    s2i finetune --model config:tiny --size 112 --data nw_ucla_xview --data_dir DIR   # from scratch

    Tested once, at the end. Writes the model, results.json, per_class.json, confusion.png and README.md into the run folder.
    """
    check_sources(arguments.data, arguments.data_dir)
    settings = start(arguments)  # processes, devices and the run folder: complain before any long work
    with settings.main_process_first():
        loaded = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)
        dataset = rows_of_splits(loaded)
    model, processor, notes = load_classifier(arguments, dataset["train"])
    run(arguments, model, processor, dataset, settings=settings, notes=notes)
