"""Zero-shot across joint formats: training clips in one format, test clips in another, one encoder, kNN on its features.

    python examples/cross_format.py --config examples/configs/cross_format_nw_ucla_xview.yaml --model runs/mae_nw_ucla_xview --data_dir DIR

Appends its rows to results.json of the run folder. `--help` lists every setting.
"""

from __future__ import annotations

from s2i_hf.data.loading import load_skeletons
from s2i_hf.evaluation.probing import load_model_and_processor
from s2i_hf.experiments.cross_layout import CrossLayoutArguments, cross_layout_run
from s2i_hf.utils.arguments import parse, run_main


def main() -> None:
    arguments = parse(CrossLayoutArguments, description=__doc__)

    # 1. Raw skeleton file and 2. skeleton array: read, split by the protocol; each format keeps the joints it has
    dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)

    # 3. S2I image: fewer joints are wider columns. 4. Mask: none, the encoder sees every patch. 5. Model: one for all formats
    model, processor = load_model_and_processor(arguments.model)

    # 6. Probe: nearest training clips of the gallery's format; k and pooling chosen on held-out training subjects
    summary = cross_layout_run(arguments, model, processor, dataset)

    # 7. Card: the rows, for results.json and the card of the run folder
    print(f"Done: {summary['run_dir']}/results.json")


if __name__ == "__main__":
    run_main(main)
