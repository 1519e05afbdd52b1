"""Pretrain a ViT masked autoencoder on skeletons.

    python examples/pretrain_mae.py --config examples/configs/pretrain_mae_nw_ucla_xview.yaml --data_dir DIR
    accelerate launch --config_file examples/accelerate/multi_gpu.yaml examples/pretrain_mae.py --data OUT --precision bf16
    python examples/pretrain_mae.py --data OUT,nw_ucla_xview --data_dir nw_ucla_xview=DIR --mixture equal --holdout ntu60_xsub

DIR holds the raw files of the protocol; OUT is a folder written by `s2i convert`; several of them, of whatever joint formats, are
trained on together, without the test clips of the protocols named in --holdout. Every flag is also a YAML key.
"""

from __future__ import annotations

from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.models.building import build_mae
from s2i_hf.models.loading import start_notes
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.training.pretrain_arguments import PretrainArguments
from s2i_hf.training.pretraining import pretrain, start
from s2i_hf.utils.arguments import parse, run_main


def main() -> None:
    arguments = parse(PretrainArguments, description=__doc__)
    accelerator = start(arguments)  # processes, devices and the run folder: complain before any long work

    # 1. Raw skeleton files -> 2. skeleton arrays, read once and cached as rows of joints.
    with accelerator.main_process_first():
        dataset = load_skeletons(**arguments.data_options)
    layouts = sorted(set(as_rows(dataset["train"]).layouts))

    # 3. Skeleton array -> S2I image: height is time, width is joints by body part, red green blue are x y z.
    layout = layouts[0] if len(layouts) == 1 else None  # of several, each clip says its own
    processor = SkeletonProcessor(layout=layout, **arguments.processor_options)

    # 4. Mask: --mask and --mask_ratio; drawn for every clip and epoch while training.
    # 5. Model: a stock ViTMAEForPreTraining, from scratch or from vision weights.
    model = build_mae(arguments.model, **arguments.model_options)
    notes = start_notes(arguments.model, model, arguments.seed)  # the loading report
    summary = pretrain(arguments, model, processor, dataset, accelerator=accelerator, notes=notes)

    # 6. Probe or fine-tune what was learned. 7. A card was written; the probe adds its numbers to it.
    accelerator.print(f"Loss {summary['loss']:.4f}. Next: python examples/probe.py --model {arguments.run_dir} ...")


if __name__ == "__main__":
    run_main(main)
