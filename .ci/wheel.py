"""Does with an installed wheel what a new user does: .venv-wheel/bin/python -I .ci/wheel.py, from a clean environment without the sources.

Every command's help; README.md from top to bottom, on synthetic people and with a few steps a training; the classifier that its lines
trained in the pipelines, as it is and as pushed where `s2i_hf` cannot be imported; and what the stock Trainer saved, there as well.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {  # beginnings of lines that this place cannot run, and why
    "make ": "of a clone",
    "git ": "from a network",
    "pip install": "already done",
    "accelerate launch --multi_gpu": "on several GPUs",
    "s2i pretrain --data data/ntu120_xsub": "of recordings that are not to be shared",
}
INSTEAD = {"bandai_namco_by_index": "synthetic_xsub"}  # recordings of a network
SHORT = {
    "pretrain": "--max_steps 6 --batch_size 16",
    "finetune": "--max_steps 6 --batch_size 16",
    "push": "--output pushed",
}
EXTRAS = {"--format onnx": "s2i-hf[export]"}  # what a line needs besides the wheel; it says so and fails
PIPELINE = """
import sys

import numpy as np

if sys.argv[1] != "as it is":
    sys.modules["s2i_hf"] = None  # its import fails, as where it is not installed
else:
    import s2i_hf  # the Auto classes know its processor after this

from transformers import pipeline

joints = np.random.default_rng(0).normal(0, 0.3, (60, 1, 25, 3))
for task in ("image-classification", "skeleton-classification") if sys.argv[1] != "saved by stock calls" else ("image-classification",):
    found = pipeline(task, model=sys.argv[2], trust_remote_code=True, device="cpu")(joints, top_k=2)
    assert len(found) == 2 and 0 < found[1]["score"] <= found[0]["score"] <= 1, found
    print(sys.argv[1], task, found)
"""
# What somebody does who trains with transformers alone: the stock Trainer on rows that become images when they are read
STOCK = """
from transformers import Trainer, TrainingArguments, ViTForImageClassification

import s2i_hf

data = s2i_hf.load_skeletons("out")
names = data["train"].features["label"].names
processor = s2i_hf.SkeletonProcessor.from_pretrained("runs/mae")
model = ViTForImageClassification.from_pretrained("runs/mae", id2label=dict(enumerate(names)))
settings = TrainingArguments("runs/stock", max_steps=3, remove_unused_columns=False, save_strategy="no", report_to="none", use_cpu=True)
trainer = Trainer(model, settings, train_dataset=data["train"].with_transform(processor), processing_class=processor)
trainer.train()
trainer.save_model()
"""


def blocks(page: str) -> list[tuple[str, str]]:
    """(language, text) of the code blocks of a page, in order."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


def lines_of(block: str) -> list[str]:
    """The commands of a shell block: continued lines joined, comments gone."""
    lines = (shlex.join(shlex.split(line, comments=True)) for line in block.replace("\\\n", " ").splitlines())
    return [line for line in lines if line]


def as_run(line: str) -> str:
    """A line of README.md as it is run here; empty for one that is run elsewhere."""
    if any(line.startswith(beginning) for beginning in ELSEWHERE):
        return ""
    for word, other in INSTEAD.items():
        line = line.replace(word, other)
    words = line.split()
    if words[0] not in ("s2i", "python"):
        raise ValueError(f"README.md has the line '{line}'; say in .ci/wheel.py how it is run.")
    more = SHORT.get(words[1], "") if words[0] == "s2i" else ""
    return f"{line} {more}".strip()


def call(name: str, words: list[str], here: Path, lacks: str = "") -> None:
    """Run a program and say how long it took; one that lacks something has to name it.

    Raises:
        SystemExit: It failed; with what it printed.
    """
    started = time.monotonic()
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
    }
    env.pop("PYTHONPATH", None)
    done = subprocess.run(words, cwd=here, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(f"{time.monotonic() - started:6.1f} s  {name}", flush=True)
    if bool(done.returncode) != bool(lacks) or lacks not in done.stdout:
        sys.exit(f"{done.stdout}\nExit status {done.returncode} of: {name}")


def main() -> None:
    """Try everything; ends at the first thing that fails."""
    spec = find_spec("s2i_hf")
    if not spec or not spec.origin or ROOT / "s2i_hf" in Path(spec.origin).parents or find_spec("pytest"):
        sys.exit("Run this with the python of a clean environment in which the wheel is installed, with -I.")
    bin_folder = Path(sys.executable).parent
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        told = subprocess.run([bin_folder / "s2i", "--help"], check=True, text=True, capture_output=True, cwd=here)
        for command in re.findall(r"^  ([a-z][a-z-]*)  ", told.stdout, flags=re.MULTILINE):
            call(f"s2i {command} --help", [str(bin_folder / "s2i"), command, "--help"], here)
        people = "synthesize --output Bandai-Namco --subjects 4 --replications 5 --cameras 1"  # a tenth of the labels is a clip a class
        call(f"s2i {people}", [str(bin_folder / "s2i"), *people.split()], here)
        recordings = sorted((here / "Bandai-Namco").rglob("*.skeleton"))
        for recording in re.findall(r"\b\w+\.skeleton\b", page):
            shutil.copy(recordings[0], here / recording)
        shutil.copytree(ROOT / "examples", here / "examples")

        for number, (language, block) in enumerate(blocks(page), start=1):
            if language == "python":
                (here / f"block_{number}.py").write_text(block, encoding="utf-8")
                call(f"Python of block {number}", [sys.executable, f"block_{number}.py"], here)
            elif language == "sh":
                for line in lines_of(block):
                    shown = as_run(line)
                    if shown:
                        lacks = "".join(extra for words, extra in EXTRAS.items() if words in shown)
                        call(shown, shlex.split(shown), here, lacks)
                    else:
                        print(f"     -    {line}: not here", flush=True)
        (here / "classify.py").write_text(PIPELINE, encoding="utf-8")
        (here / "stock.py").write_text(STOCK, encoding="utf-8")
        call("the stock Trainer", [sys.executable, "stock.py"], here)
        folders = {"as it is": "runs/classifier", "pushed": "pushed", "saved by stock calls": "runs/stock"}
        for kind, folder in folders.items():
            call(f"pipeline, the classifier {kind}", [sys.executable, "classify.py", kind, folder], here)
    print("The wheel is enough.")


if __name__ == "__main__":
    main()
