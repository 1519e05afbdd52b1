"""`s2i pretrain`."""

from __future__ import annotations

from ..data.loading import check_sources, load_skeletons
from ..data.skeleton_rows import rows_of_splits
from ..models.loading import start_notes
from ..processing.image_processing_skeleton import SkeletonProcessor
from ..training.pretrain_arguments import METHODS, PretrainArguments
from ..training.pretraining import MODEL_AND_LOSS, pretrain as run, start

__all__ = ["METHODS", "pretrain"]


def pretrain(arguments: PretrainArguments) -> None:
    """Masked pretraining.

    s2i pretrain --config nw_ucla_xview/pretrain_mae --data_dir DIR
    accelerate launch --multi_gpu --num_processes 8 -m s2i_hf pretrain --data OUT --precision bf16
    s2i pretrain --data OUT,nw_ucla_xview --data_dir nw_ucla_xview=DIR --mixture equal --holdout ntu60_xsub

    DIR holds the raw files of the protocol; OUT is a folder written by `s2i convert`; several of them, of whatever joint formats, are
    trained on together, without the test clips of the protocols named in --holdout. Killed at any moment, --resume goes on.
    """
    check_sources(**arguments.data_options)
    accelerator = start(arguments)  # processes, devices and the run folder: complain before any long work
    with accelerator.main_process_first():
        dataset = rows_of_splits(load_skeletons(**arguments.data_options))
    layouts = sorted(set(dataset["train"].layouts))
    layout = layouts[0] if len(layouts) == 1 else None  # of several, each clip says its own
    processor = SkeletonProcessor(layout=layout, **arguments.processor_options)
    build, loss = MODEL_AND_LOSS[arguments.method]
    model = build(arguments.model, **arguments.model_options)
    notes = start_notes(arguments.model, model, arguments.seed)
    summary = run(arguments, model, processor, dataset, compute_loss=loss, accelerator=accelerator, notes=notes)
    accelerator.print(f"Loss {summary['loss']:.4f}. Next: s2i probe --model {arguments.run_dir} ...")
