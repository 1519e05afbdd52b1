"""One GPU, nine minutes: universal pretraining, probe, fine-tuning of the streams and their fusion, on a machine with little installed.

    python benchmarks/accuracy_gpu.py bundle --data DIR --output build/accuracy_bundle        # here: raw files to one small folder
    python benchmarks/accuracy_gpu.py run --bundle build/accuracy_bundle --output_dir runs/gpu --seconds 540      # where the GPU is
    python benchmarks/accuracy_gpu.py run --bundle build/accuracy_bundle --output_dir runs/gpu --seconds 540      # goes on

`run` needs neither `datasets` nor `evaluate`, Pillow, pyarrow or matplotlib, nor an installed s2i-hf: a copy of the repository does. It
trains in bf16, which it sets itself, in one process, as starting torch anew costs seconds. What it measures, in this order: ViT-S at 224
px pretrained on the training clips of all sets, probed and fine-tuned on NW-UCLA (joint, bone, motion ...) and fused; the same with
ViT-B; then UTD-MHAD and MSR-Action3D with ViT-S. --model replaces the starts, by sizes or folders of ViTMAE weights, such as those of
benchmarks/photographs.py. Settings are those of the recipes, and nothing is chosen on test clips; all streams start from the encoder of
joints.

Every part has a share of --seconds. How many clips a second this machine takes is measured in a few steps, and the schedule of a
training is what fits into its share. What is going on when the time is up leaves a checkpoint. The same command goes on there; when all is
done it says so. `output_dir/report` has, anew after every part and so after a kill as well: results.json and results.csv (rows as every run
has them), table.md, state.json (seconds, clips, clips a second of each part, memory), and the pictures of reconstructions where matplotlib
is there. Copy that folder back.

What to expect of an H100 (estimates on paper, +-25 %; nothing here was measured on a GPU), in clips a second at 224 px in bf16: pretraining
ViT-S 3,000 to 10,000 at a batch of 256, ViT-B 2,800 to 3,700; fine-tuning ViT-B 2,000, ViT-S hardly more where launching kernels is the
limit. So of 540 seconds the pretraining of ViT-S sees 0.3 to 1.0 million clips in 119, that of ViT-B some 0.4 million in 151, and a
stream of four some 60 thousand in 38 (60 passes over NW-UCLA). The first call ends with the pretraining of ViT-B, the second with the rest.

A rehearsal without a GPU: --model config:micro --size 64 --seconds 60.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

BEGAN = time.monotonic()  # before torch is imported, which counts
ROOT = Path(__file__).resolve().parents[1]
if find_spec("s2i_hf") is None or find_spec("s2i_hf.model_cards") is None:  # a copy that was not installed
    sys.path.append(str(ROOT))
    import s2i_hf

    s2i_hf.__path__.append(str(ROOT))  # where model_cards are, whose templates the cards of runs are made of

from accuracy_bundle import FOLDERS, TESTED, make_bundle  # noqa: E402

from s2i_hf.processing.suggestions import did_you_mean  # noqa: E402
from s2i_hf.utils.arguments import arg, read_arguments, run_main, settings_of  # noqa: E402


@dataclass
class BundleArguments:
    """Settings of `bundle`."""

    data: str = arg(help="Folder with a sub-folder of raw files for each data set, or folders of `s2i convert`.")
    output: str = arg("build/accuracy_bundle", "Becomes the bundle; what is there is replaced.")
    sets: tuple[str, ...] = arg(tuple(FOLDERS), "Protocols; their training clips are pretrained on.")
    tested: tuple[str, ...] = arg(TESTED, "Those whose test clips come along; of the others the training clips alone.")
    limit_mb: float = arg(50.0, "A larger bundle is refused, in million bytes.")


@dataclass
class RunArguments:
    """Settings of `run`."""

    bundle: str = arg("build/accuracy_bundle", "What `bundle` made.")
    output_dir: str = arg("runs/gpu", "Gets a folder for each part, and report/.")
    seconds: float = arg(540.0, "Of this call, from its start; the parts are sized by that of the first call.")
    model: tuple[str, ...] = arg(("config:small", "config:base"), "Starts: sizes, or folders of ViTMAE weights.")
    size: int = arg(224, "Side of the image in pixels.")
    sets: tuple[str, ...] = arg((), "Protocols to measure on; those that the bundle has test clips of if none.")
    streams: tuple[str, ...] = arg((), "Fine-tuned and fused; all that there are if none.")
    batch_size: int | None = arg(None, "Clips a step of pretraining; if none 256 on a GPU, 32 elsewhere.")
    finetune_batch_size: int | None = arg(None, "Of fine-tuning; if none 64 on a GPU, 32 elsewhere.")
    precision: Literal["no", "bf16", "fp16"] = arg("bf16", "Of all trainings.")
    seed: int = arg(0, "Of all that is drawn.")
    max_steps: int | None = arg(None, "Stop every training after so many steps: a smoke test.")
    calibration_steps: int = arg(
        24, "Steps in which the speed of a training is measured, in a run that is thrown away."
    )

    def __post_init__(self) -> None:
        for name in ("seconds", "size", "batch_size", "finetune_batch_size", "max_steps"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"--{name} is {value:g}; expected 1 or more.")
        if self.calibration_steps < 2:
            raise ValueError(f"--calibration_steps is {self.calibration_steps}; expected 2 or more.")
        if not self.model:
            raise ValueError("--model names nothing; expected a size such as config:small, or a folder.")
        known = settings_of(finetune_arguments())["stream"].choices
        self.streams = self.streams or tuple(known)
        for stream in self.streams:
            if stream not in known:
                raise ValueError(f"--streams has {stream!r}; expected {', '.join(known)}.{did_you_mean(stream, known)}")


def finetune_arguments() -> type:
    """The settings of a fine-tuning, which say what streams there are; torch is imported here and not before."""
    from s2i_hf.training.finetune_arguments import FinetuneArguments

    return FinetuneArguments


def bundle(arguments: BundleArguments) -> None:
    """Make the bundle; see the top of this file."""
    data = Path(arguments.data).expanduser()
    make_bundle(data, Path(arguments.output), arguments.sets, arguments.tested, arguments.limit_mb)


def run(arguments: RunArguments) -> None:
    """Measure until the time is up or all is done; see the top of this file."""
    from accuracy_gpu_running import Runner

    failed = Runner(arguments, BEGAN).run()
    if failed:
        raise ValueError(
            f"{len(failed)} parts failed, first {failed[0]}; report/state.json says why. The same command tries again."
        )


COMMANDS: dict[str, tuple[Any, type]] = {"bundle": (bundle, BundleArguments), "run": (run, RunArguments)}


def main(argv: Sequence[str] | None = None) -> None:
    """`bundle` or `run`, and its flags.

    Raises:
        ValueError: another word.
    """
    name, *words = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    if name in ("-h", "--help"):
        print(__doc__)
        return
    if name not in COMMANDS:
        raise ValueError(f"{name!r} is no command; expected {' or '.join(COMMANDS)}.{did_you_mean(name, COMMANDS)}")
    function, kind = COMMANDS[name]
    function(read_arguments(kind, words, f"accuracy_gpu.py {name}", str(__doc__)))


if __name__ == "__main__":
    run_main(main)
