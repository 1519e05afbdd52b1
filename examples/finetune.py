"""Fine-tune a pretrained encoder, or one from scratch, on labelled skeletons.

    python examples/finetune.py --model runs/mae_nw_ucla_xview --data nw_ucla_xview --data_dir DIR
    python examples/finetune.py --config examples/configs/finetune_nw_ucla_xview.yaml --model runs/mae_nw_ucla_xview --data_dir DIR
    python examples/finetune.py --model config:tiny --size 112 --data nw_ucla_xview --data_dir DIR   # from scratch

Writes the model, results.json, per_class.json, confusion.png and README.md into the run folder. `--help` lists every setting.
"""

from __future__ import annotations

from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.training.finetune_arguments import FinetuneArguments
from s2i_hf.training.finetune_data import load_classifier
from s2i_hf.training.finetuning import finetune, start
from s2i_hf.utils.arguments import parse, run_main


def main() -> None:
    arguments = parse(FinetuneArguments, description=__doc__)
    settings = start(arguments)  # processes, devices and the run folder: complain before any long work

    # 1. Raw skeleton file and 2. skeleton array: read, split by the protocol, cached
    with settings.main_process_first():
        dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)

    # 3. S2I image: the processor saved beside the model is the recipe. 4. Mask: none, the encoder sees every patch.
    # 5. Model: the encoder as it was pretrained, and a new head with the names of the classes; the notes say what is whose
    model, processor, notes = load_classifier(arguments, as_rows(dataset["train"]))

    # 6. Fine-tune: trained on the training clips, tested once at the end. 7. Card: the numbers and how to repeat them
    finetune(arguments, model, processor, dataset, settings=settings, notes=notes)


if __name__ == "__main__":
    run_main(main)
