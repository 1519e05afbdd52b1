"""Compare variants of a pretraining: a YAML grid in, a table and a plot out.

    python examples/ablate.py --config examples/configs/ablate_masks.yaml --data_dir DIR

DIR holds the raw files of the protocol that the YAML file names. Every variant is pretrained and probed once a seed; ablation.csv gets a
row when a run is over. Killed at any moment, the same command goes on where it was. Variants are compared on held-out
training subjects; `--report both` adds the test clips. Exit status 1: a variant failed, and table.md says why.
"""

from __future__ import annotations

from s2i_hf.experiments.ablation import AblateArguments, ablate
from s2i_hf.utils.arguments import parse, run_main


def main() -> None:
    found = ablate(parse(AblateArguments, description=__doc__))
    print(f"\n{(found.folder / 'table.md').read_text(encoding='utf-8')}")
    print(f"Done: {found.folder}/table.md, ablation.csv and plot.png")
    if found.failed:
        raise SystemExit(1)


if __name__ == "__main__":
    run_main(main)
