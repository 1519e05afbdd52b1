"""How a trained model stands damage: joints that are lost, time that was not recorded.

    python examples/robustness.py --model runs/finetune_mae_nw_ucla_xview --data nw_ucla_xview --data_dir DIR
    python examples/robustness.py --model runs/mae_nw_ucla_xview --data nw_ucla_xview --data_dir DIR     # linear probe of the encoder

Prints a table, and appends its rows to results.json of the run folder. `--help` lists every setting.
"""

from __future__ import annotations

from s2i_hf.data.loading import load_skeletons
from s2i_hf.experiments.robustness import RobustnessArguments, robustness_run
from s2i_hf.utils.arguments import parse, run_main


def main() -> None:
    arguments = parse(RobustnessArguments, description=__doc__)

    # 1. Raw skeleton file and 2. skeleton array: read, split by the protocol, cached; then test clips are damaged
    dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)

    # 3. S2I image: by the processor beside the model. 4. Mask: none. 5. Model: as it was trained, on whole clips
    # 6. Probe or fine-tuned classifier: the same one for every line of the table
    summary = robustness_run(arguments, dataset)

    # 7. Card: the rows, for results.json and the card of the run folder
    print(f"Done: {summary['run_dir']}/robustness.json")


if __name__ == "__main__":
    run_main(main)
