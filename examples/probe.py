"""Probe a pretrained encoder: kNN and linear probe on frozen features, beside the untrained encoder and the raw joints.

    python examples/probe.py --model runs/mae_nw_ucla_xview --data nw_ucla_xview --data_dir DIR

Writes results.json, per_class.json, confusion.png and README.md into the run folder. `--help` lists every setting.
"""

from __future__ import annotations

from s2i_hf.data.loading import load_skeletons
from s2i_hf.evaluation.probing import ProbeArguments, load_model_and_processor, probe_run
from s2i_hf.utils.arguments import parse, run_main


def main() -> None:
    arguments = parse(ProbeArguments, description=__doc__)

    # 1. Raw skeleton file and 2. skeleton array: read, split by the protocol, cached
    dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)

    # 3. S2I image: the processor saved beside the model is the recipe. 4. Mask: none, the encoder sees every patch.
    # 5. Model
    model, processor = load_model_and_processor(arguments.model)

    # 6. Probe: settings are chosen on held-out training subjects; test labels are only counted
    summary = probe_run(arguments, model, processor, dataset)

    # 7. Card: the numbers, what they were measured on and how to repeat them
    print(f"Done: {summary['run_dir']}/README.md")


if __name__ == "__main__":
    run_main(main)
