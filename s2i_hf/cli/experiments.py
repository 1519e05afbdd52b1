"""`s2i probe`, `robustness`, `fuse`, `cross-layout` and `ablate`: what runs and models are worth, beside others."""

from __future__ import annotations

from ..evaluation.probing import ProbeArguments, probe_run
from ..experiments.ablation import AblateArguments, ablate as run_ablation
from ..experiments.cross_layout import CrossLayoutArguments, cross_layout_run
from ..experiments.fusion import FuseArguments, fuse_runs
from ..experiments.robustness import RobustnessArguments, robustness_run
from ..utils.configs import find_config


def probe(arguments: ProbeArguments) -> None:
    """Frozen features.

    s2i probe --model runs/mae_nw_ucla_xview --data nw_ucla_xview --data_dir DIR

    Settings are chosen on held-out training people; test labels are only counted. Writes results.json, per_class.json, confusion.png
    and README.md into the run folder.
    """
    print(f"Done: {probe_run(arguments)['run_dir']}/README.md")


def robustness(arguments: RobustnessArguments) -> None:
    """Damage.

    s2i robustness --model runs/finetune_mae_nw_ucla_xview --data nw_ucla_xview --data_dir DIR
    s2i robustness --model runs/mae_nw_ucla_xview --data nw_ucla_xview --data_dir DIR     # linear probe of the encoder

    Prints a table, and appends its rows to results.json of the run folder.
    """
    print(f"Done: {robustness_run(arguments)['run_dir']}/robustness.json")


def fuse(arguments: FuseArguments) -> None:
    """Streams.

    s2i fuse --models runs/joint runs/bone runs/motion --data nw_ucla_xview --data_dir DIR
    s2i fuse --models ... --weights validation      # weights chosen on clips that every run held out

    Their probabilities are averaged. Writes results.json and fusion.json, each stream alone beside the fusion.
    """
    print(f"Done: {fuse_runs(arguments)['run_dir']}/fusion.json")


def cross_layout(arguments: CrossLayoutArguments) -> None:
    """Zero-shot.

    s2i cross-layout --config nw_ucla_xview/cross_layout_knn --data_dir DIR

    One encoder, kNN on its features. Appends its rows to results.json of the run folder.
    """
    print(f"Done: {cross_layout_run(arguments)['run_dir']}/results.json")


def ablate(arguments: AblateArguments) -> int:
    """Variants.

    s2i ablate --config ablations/masks --data_dir DIR

    DIR holds the raw files of the protocol that the YAML file names. Every variant is pretrained and probed once a seed; ablation.csv
    gets a row when a run is over. Killed at any moment, the same command goes on where it was. Variants are compared on held-out
    training people; `--report both` adds the test clips. Exit status 1: a variant failed, and table.md says why.
    """
    arguments.config = str(find_config(arguments.config))
    found = run_ablation(arguments)
    print(f"\n{(found.folder / 'table.md').read_text(encoding='utf-8')}")
    print(f"Done: {found.folder}/table.md, ablation.csv and plot.png")
    return 1 if found.failed else 0
