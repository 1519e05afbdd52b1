"""Fuse fine-tuned classifiers: the joint, bone and motion streams of the same clips, their probabilities averaged.

    python examples/fuse.py --models runs/joint runs/bone runs/motion --data nw_ucla_xview --data_dir DIR
    python examples/fuse.py --models ... --weights validation      # weights chosen on clips that every run held out

Writes results.json and fusion.json, each stream alone beside the fusion. `--help` lists every setting.
"""

from __future__ import annotations

from s2i_hf.data.loading import load_skeletons
from s2i_hf.experiments.fusion import FuseArguments, fuse_runs
from s2i_hf.utils.arguments import parse, run_main


def main() -> None:
    arguments = parse(FuseArguments, description=__doc__)

    # 1. Raw skeleton file and 2. skeleton array: read, split by the protocol, cached
    dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)

    # 3. S2I image: each model's own processor makes its stream. 4. Mask: none. 5. Model: one a stream
    # 6. Fine-tune: done before; here their probabilities are averaged, and the test clips counted once
    summary = fuse_runs(arguments, dataset)

    # 7. Card: the rows, and what each stream says alone
    print(f"Done: {summary['run_dir']}/fusion.json")


if __name__ == "__main__":
    run_main(main)
