"""What the accuracy benchmark runs: data sets, presets, and the stages between raw files and a line of the table.

A stage is one command of this project, such as a pretraining or a probe, and one folder below `--runs`. It names the stages whose folders
it reads, so that what is asked for brings along what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from s2i_hf.data.storage import META_FILE, read_meta
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.readers.discovery import find_recordings

STAGES = ("baseline", "untrained", "pretrain", "universal", "others", "probe", "finetune", "labels10", "peer")
Stages = Literal["baseline", "untrained", "pretrain", "universal", "others", "probe", "finetune", "labels10", "peer"]
Peers = Literal["stgcn", "ctrgcn"]
LABEL_SHARE = 0.1
# epochs and passes of each that the authors of CTR-GCN give NW-UCLA; they have no recipe for the other sets
AUTHORS_EPOCHS, AUTHORS_REPEAT, AUTHORS_WARMUP = 65, 5, 5
LABEL_SETS = ("nw_ucla_xview", "utd_mhad_xsub", "msr_action3d_xsub")
MACHINE_FLAGS = ("data", "data_dir", "cache_dir", "num_workers", "device", "threads")  # they change no result

# protocol -> (folder it usually lies in, settings that depend on how its test clips differ from the training clips)
FRONTAL: dict[str, Any] = {"yaw": 0.3}
NEW_VIEW: dict[str, Any] = {
    "yaw": 1.05,
    "tilt": 0.5,
}  # the test camera stands elsewhere; as in finetune_nw_ucla_xview.yaml
SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "nw_ucla_xview": ("NW-UCLA", NEW_VIEW),
    "utd_mhad_xsub": ("UTD-MHAD", FRONTAL),
    "msr_action3d_xsub": ("MSRAction3D", FRONTAL),
    "utkinect_xsub": ("UTKinect", FRONTAL),
    "irds_xsub": ("IRDS", FRONTAL),
    "ui_prmd_kinect_xsub": ("UI-PRMD", FRONTAL),
}


@dataclass(frozen=True)
class DataSet:
    """A data set that was found.

    Args:
        name: Its protocol.
        folder: Its raw files, or a folder made by `s2i convert`.
        converted: Which of the two.
        train, test: Clips.
    """

    name: str
    folder: Path
    converted: bool
    train: int
    test: int

    @property
    def flags(self) -> dict[str, Any]:
        """Flags that name it."""
        return {"data": str(self.folder)} if self.converted else {"data": self.name, "data_dir": str(self.folder)}

    @property
    def view(self) -> dict[str, Any]:
        """Augmentation that suits it."""
        return SETS.get(self.name, ("", FRONTAL))[1]

    @property
    def new_view(self) -> bool:
        """Whether it is tested by a camera that nothing was trained on: pretraining and probe turn people further then."""
        return self.view is NEW_VIEW


@dataclass(frozen=True)
class Preset:
    """What a run of the benchmark spends.

    Args:
        model, size, precision: Of all our models.
        jobs, threads: Stages at a time, and threads of each.
        num_workers: Loader processes of each; None: its own choice.
        batch_size: Clips a step.
        pretrain_clips, universal_clips: Clips seen by a pretraining on one set, on several.
        finetune_clips, labels_clips: Clips seen by a fine-tuning, of all labels and of a tenth of them; the same in every arm.
        most_epochs: Of whatever is trained on a small set.
        peers: Supervised networks to compare with.
        peer_epochs, peer_repeat: Of the compact one. The one of CTR-GCN's size sees NW-UCLA as often as its authors show it, and of another
            set as many clips as our fine-tuning does.
        label_arms: Where the 10 % start from, beside scratch.
        grid: Settings tried on validation clips for the 10 %, the same in every arm.
        tune_seeds: Draws of labels that they are tried on.
    """

    model: str
    size: int
    precision: str
    jobs: int
    threads: int
    num_workers: int | None
    batch_size: int
    pretrain_clips: int
    universal_clips: int
    finetune_clips: int
    labels_clips: int
    most_epochs: int
    peers: tuple[Peers, ...]
    peer_epochs: int
    peer_repeat: int
    label_arms: tuple[str, ...]
    grid: tuple[Mapping[str, float], ...]
    tune_seeds: tuple[int, ...] = (100,)


_GENTLE, _ALIKE, _SLOW = (
    {"base_lr": 1.6e-2, "layer_decay": 0.75}, {"base_lr": 8e-3, "layer_decay": 1.0}, {"base_lr": 4e-3, "layer_decay": 0.9},
)  # fmt: skip
PRESETS: dict[str, Preset] = {
    "cpu": Preset(
        model="config:tiny", size=112, precision="bf16", jobs=2, threads=1, num_workers=None, batch_size=32,
        pretrain_clips=32_000, universal_clips=240_000, finetune_clips=9_600, labels_clips=2_400, most_epochs=60,
        peers=("stgcn",), peer_epochs=24, peer_repeat=1, label_arms=("mae", "mae_universal", "mae_others"), grid=(_GENTLE, _ALIKE),
    ),
    "gpu": Preset(
        model="config:small", size=224, precision="bf16", jobs=6, threads=2, num_workers=2, batch_size=64,
        pretrain_clips=120_000, universal_clips=480_000, finetune_clips=30_000, labels_clips=6_400, most_epochs=300,
        peers=("stgcn", "ctrgcn"), peer_epochs=30, peer_repeat=5,
        label_arms=("mae", "diffmae", "mae_universal", "mae_others"), grid=(_GENTLE, _ALIKE, _SLOW),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """One command.

    Args:
        name: Also its folder below `--runs`.
        script: The program: a command, "s2i probe", or a file from the root of the repository.
        word: What of `--stages` it belongs to, or is needed for.
        set: Protocol it is measured on, or learns from; "" for several.
        arm: What its encoder is: mae, diffmae_universal, scratch, raw_joints ...
        seed: Of the run, or of the draw of labels.
        flags: Its settings.
        needs: Stages that must be finished before it.
        clips: Training clips that it sees, each time counted.
        setting: Of its rows in results.json; "" if it has none for the table.
        choices: label -> (flags, stages that tried them): the best on validation clips is taken when the stage begins.
    """

    name: str
    script: str
    word: str
    set: str
    arm: str
    seed: int
    flags: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    clips: int = 0
    setting: str = ""
    choices: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What it does: pretrain_mae, pretrain_diffmae, finetune, probe, peer, peer_ctrgcn or accuracy_prepare."""
        command, *method = self.script.removeprefix("s2i ").split()
        if self.flags.get("network") == "ctrgcn":
            return "peer_ctrgcn"
        return f"pretrain_{method[-1]}" if method else Path(command).stem

    @property
    def trains(self) -> bool:
        """Whether it goes on from checkpoints."""
        return self.kind.startswith("pretrain") or self.kind == "finetune"

    def settings(self) -> dict[str, Any]:
        """What decides the result: flags that only this machine needs are left out."""
        flags = {name: value for name, value in self.flags.items() if name not in MACHINE_FLAGS}
        return {
            **flags,
            **({"choices": {label: dict(one[0]) for label, one in self.choices.items()}} if self.choices else {}),
        }


def find_sets(data: Path, names: Sequence[str] = ()) -> tuple[dict[str, DataSet], list[str]]:
    """The data sets in a folder, and the names of those that are not there.

    Args:
        data: Has a sub-folder for each: raw files in one named like the set (`NW-UCLA`, `MSRAction3D` ...; case and hyphens do not
            matter), or one named like the protocol and made by `s2i convert`.
        names: Protocols that are asked for beside the six of `SETS`.

    Raises:
        ValueError: the folder is not there, or none of the sets is in it.
    """
    if not data.is_dir():
        raise ValueError(f"--data {data} is not a folder; expected one with sub-folders such as NW-UCLA and UTD-MHAD.")
    folders = {_plain(folder.name): folder for folder in sorted(data.iterdir()) if folder.is_dir()}
    found: dict[str, DataSet] = {}
    for name in dict.fromkeys([*SETS, *names]):
        if (data / name / META_FILE).is_file():
            counts = read_meta(data / name)["counts"]
            found[name] = DataSet(name, data / name, True, counts.get("train", 0), counts.get("test", 0))
        elif name in SETS and (folder := folders.get(_plain(SETS[name][0]))) is not None:
            protocol = PROTOCOLS[name]
            train, test = protocol.expected_clips or (None, None)
            if train is None or test is None:  # nobody says how many there should be
                files = find_recordings(name, folder).files
                train, test = len(files.get("train", ())), len(files.get("test", ()))
            found[name] = DataSet(name, folder, False, train, test)
    if not found:
        wanted = ", ".join(folder for folder, _ in SETS.values())
        raise ValueError(
            f"--data {data} has none of the sub-folders {wanted}, nor one named like a protocol of --sets."
        )
    return found, [name for name in dict.fromkeys([*SETS, *names]) if name not in found]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
