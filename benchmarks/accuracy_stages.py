"""The stages of the accuracy benchmark, made one by one: which command, which flags, which folders it reads.

Both arms of a comparison (pretrained and from scratch) have the same recipe: steps, batch, augmentation, head, and learning rates that fall
from layer to layer, which held-out people preferred from scratch as well. With 10 % of the labels, each arm takes the best of one grid,
tried on held-out people of the training split with as many labelled clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from accuracy_plan import (
    AUTHORS_EPOCHS,
    AUTHORS_REPEAT,
    AUTHORS_WARMUP,
    LABEL_SETS,
    LABEL_SHARE,
    SETS,
    STAGES,
    DataSet,
    Preset,
    Stage,
)  # fmt: skip

from s2i_hf.processing.suggestions import did_you_mean

PREPARE, PROBE, FINETUNE, PEER = (
    "benchmarks/accuracy_prepare.py", "s2i probe", "s2i finetune", "benchmarks/peer.py",
)  # fmt: skip
_ALL_AROUND = 3.1416  # radians about the vertical: from every side
# as in the recipes nw_ucla_xview/pretrain_mae and nw_ucla_xview/finetune
_IMAGES: dict[str, Any] = {"crop": (0.5, 1.0), "scale": 0.1}
_PRETRAIN: dict[str, Any] = {"base_lr": 8e-3, "grad_clip": 1.0, **_IMAGES, "tilt": 0.3}
_FINETUNE: dict[str, Any] = {"pooling": "columns", "ema": 0.998, "drop_path": 0.1, **_IMAGES, "tilt": 0.2}
_LEARNING: dict[str, Any] = {"base_lr": 1.6e-2, "layer_decay": 0.75}
# as in the recipe nw_ucla_xview/probe
PROBE_NEW_VIEW: dict[str, Any] = {"pooling": "part", "rotations": 9}
_QUIET: dict[str, Any] = {"card": False}


class Maker:
    """Collects stages, each once.

    Args:
        preset, scale, max_steps: What is spent.
        sets: All data sets, by name.
        runs: Parent of the run folders.
        cache_dir: Of the converted data.
    """

    def __init__(
        self,
        preset: Preset,
        sets: dict[str, DataSet],
        runs: Path,
        scale: float,
        max_steps: int | None,
        cache_dir: str | None,
    ) -> None:
        self.preset, self.sets, self.runs, self.scale, self.max_steps = preset, sets, runs, scale, max_steps
        self.common: dict[str, Any] = {"cache_dir": cache_dir} if cache_dir else {}
        self.stages: dict[str, Stage] = {}

    def add(self, stage: Stage) -> str:
        """Collect a stage, with its folder among its flags; returns its name."""
        flags = {**stage.flags, **self.common, "output_dir": str(self.folder(stage.name))}
        self.stages.setdefault(stage.name, Stage(**{**stage.__dict__, "flags": flags}))
        return stage.name

    def folder(self, name: str) -> Path:
        """Run folder of a stage."""
        return self.runs / name

    def closure(self, stages: Sequence[str]) -> list[Stage]:
        """The stages of these words and all that they need, in the order they were made."""
        wanted = {name for name, stage in self.stages.items() if stage.word in stages}
        for name in reversed(self.stages):  # what is needed was made before what needs it
            if name in wanted:
                wanted.update(self.stages[name].needs)
        return [stage for name, stage in self.stages.items() if name in wanted]

    def _training(self, budget: int, clips: int, several: bool = False) -> tuple[dict[str, Any], int]:
        """Flags of about `budget` clips seen, and how many they are exactly; of several sets however often a clip comes."""
        batch = self.preset.batch_size
        epoch = max(1, clips // batch) * batch  # few clips are repeated until they fill a step
        epochs = max(1, round(budget * self.scale / epoch))
        if not several:
            epochs = min(epochs, round(self.preset.most_epochs * max(1.0, self.scale)))
        seen = epochs * epoch if self.max_steps is None else min(epochs * epoch, self.max_steps * batch)
        flags: dict[str, Any] = {"batch_size": batch, "epochs": epochs, "max_steps": self.max_steps}
        return {**flags, "precision": self.preset.precision, "num_workers": self.preset.num_workers}, seen

    def _few_training(self, clips: int) -> tuple[dict[str, Any], int]:
        """The same for a tenth of the labels, whose clips come often."""
        batch = self.preset.batch_size
        epoch = max(1, clips // batch) * batch
        epochs = max(1, round(self.preset.labels_clips * self.scale / epoch))
        seen = epochs * epoch if self.max_steps is None else min(epochs * epoch, self.max_steps * batch)
        return {**self._training(0, clips)[0], "epochs": epochs}, seen

    # -- pretraining ---------------------------------------------------------------------------------------------------

    def _pretrain(
        self, name: str, word: str, method: str, seed: int, learn: Sequence[DataSet], yaw: float, budget: int
    ) -> str:
        clips = sum(one.train for one in learn)
        training, seen = self._training(budget, clips, len(learn) > 1)
        training["batch_size"] = min(training["batch_size"], clips)  # a pretraining repeats no clip within a step
        flags: dict[str, Any]
        if len(learn) == 1:
            flags = dict(learn[0].flags)
        else:
            raw = [one for one in learn if not one.converted]
            flags = {"data": ",".join(one.flags["data"] for one in learn)}
            flags |= {"data_dir": ",".join(f"{one.name}={one.folder}" for one in raw)} if raw else {}
            flags |= {"mixture": 0.5, "holdout": tuple(one.name for one in learn)}
        flags |= {
            "model": self.preset.model,
            "size": self.preset.size,
            **_PRETRAIN,
            "yaw": yaw,
            **training,
            "seed": seed,
            **_QUIET,
        }
        one_set = learn[0].name if len(learn) == 1 else ""
        return self.add(Stage(name, f"s2i pretrain --method {method}", word, one_set, method, seed, flags, clips=seen))

    def pretrain(self, method: str, seed: int, one: DataSet) -> str:
        """On the set itself."""
        name = f"pretrain_{method}_{one.name}_seed{seed}"
        yaw = _ALL_AROUND if one.new_view else one.view["yaw"]
        return self._pretrain(name, "pretrain", method, seed, [one], yaw, self.preset.pretrain_clips)

    def universal(self, method: str, seed: int) -> str:
        """On all sets."""
        learn = list(self.sets.values())
        return self._pretrain(
            f"pretrain_{method}_universal_seed{seed}",
            "universal",
            method,
            seed,
            learn,
            _ALL_AROUND,
            self.preset.universal_clips,
        )

    def others(self, method: str, seed: int, one: DataSet) -> str:
        """On all sets but this one."""
        learn = [other for other in self.sets.values() if other.name != one.name]
        name = f"pretrain_{method}_others_{one.name}_seed{seed}"
        return self._pretrain(name, "others", method, seed, learn, _ALL_AROUND, self.preset.universal_clips)

    def encoder(self, arm: str, seed: int, one: DataSet) -> str:
        """The pretraining that an arm starts from."""
        method, _, origin = arm.partition("_")
        if origin == "universal":
            return self.universal(method, seed)
        return self.others(method, seed, one) if origin == "others" else self.pretrain(method, seed, one)

    # -- what is measured ----------------------------------------------------------------------------------------------

    def untrained(self, seed: int, one: DataSet) -> str:
        """A model before pretraining, for what needs its images alone."""
        flags = {**one.flags, "what": "untrained", "model": self.preset.model, "size": self.preset.size, "seed": seed}
        return self.add(Stage(f"untrained_{one.name}_seed{seed}", PREPARE, "", one.name, "untrained", seed, flags))

    def probe(self, arm: str, seed: int, one: DataSet) -> str:
        """Frozen features; arm raw_joints is the baseline, untrained the encoder before pretraining."""
        trained = arm not in ("raw_joints", "untrained")
        need = self.encoder(arm, seed, one) if trained else self.untrained(seed, one)
        flags: dict[str, Any] = {
            **one.flags, "model": str(self.folder(need)), "encoders": "pretrained" if trained else arm,
            **(PROBE_NEW_VIEW if one.new_view else {}), "seed": seed, "method": arm, **_QUIET,
        }  # fmt: skip
        word = {"raw_joints": "baseline", "untrained": "untrained"}.get(arm, "probe")
        seen = (one.train + one.test) * flags.get("rotations", 1) * (arm != "raw_joints")
        name = f"{'baseline' if word == 'baseline' else f'probe_{arm}'}_{one.name}_seed{seed}"
        return self.add(Stage(name, PROBE, word, one.name, arm, seed, flags, (need,), seen, "linear_probe"))

    def _start(self, arm: str, seed: int, one: DataSet) -> tuple[dict[str, Any], tuple[str, ...]]:
        if arm == "scratch":
            return {"model": self.preset.model, "size": self.preset.size, "method": "scratch"}, ()
        need = self.encoder(arm, seed, one)
        return {"model": str(self.folder(need)), "method": arm}, (need,)

    def finetune(self, arm: str, seed: int, one: DataSet) -> str:
        """On all labels."""
        start, needs = self._start(arm, seed, one)
        training, seen = self._training(self.preset.finetune_clips, one.train)
        flags = {**one.flags, **start, **_FINETUNE, **one.view, **_LEARNING, **training, "seed": seed, **_QUIET}
        return self.add(
            Stage(
                f"finetune_{arm}_{one.name}_seed{seed}",
                FINETUNE,
                "finetune",
                one.name,
                arm,
                seed,
                flags,
                needs,
                seen,
                "fine_tune",
            )
        )

    def peer(self, network: str, seed: int, one: DataSet, few: bool = False) -> str:
        """A supervised graph network, of all labels, or of a tenth of them, which the seed draws."""
        epochs, repeat, clips = self._peer_passes(network, one, few)
        flags: dict[str, Any] = {**one.flags, "epochs": epochs, "repeat": repeat, "seed": seed}
        flags |= {"threads": self.preset.threads, "method": network}
        if network == "ctrgcn":  # in float32, as its authors train
            flags |= {"network": network, "warmup_epochs": epochs * AUTHORS_WARMUP / AUTHORS_EPOCHS}
        else:
            flags |= {
                "warmup_epochs": min(3.0, epochs / 4),
                "precision": "bf16" if self.preset.precision == "bf16" else "no",
            }
        seen, name = epochs * repeat * clips, f"{network}_{one.name}_seed{seed}"
        if few:
            flags |= {"label_share": LABEL_SHARE, "label_seed": seed}
            return self.add(
                Stage(f"labels10_{name}", PEER, "labels10", one.name, network, seed, flags, (), seen, "semi_10")
            )
        return self.add(Stage(f"peer_{name}", PEER, "peer", one.name, network, seed, flags, (), seen, "supervised"))

    def _peer_passes(self, network: str, one: DataSet, few: bool) -> tuple[int, int, int]:
        """Epochs of a peer, how often each takes every clip, and how many clips there are."""
        clips = int(LABEL_SHARE * one.train + 0.5) if few else one.train
        if self.max_steps is not None:
            return 1, 1, clips
        if network == "stgcn":
            return max(1, round(self.preset.peer_epochs * self.scale)), self.preset.peer_repeat, clips
        if one.name == "nw_ucla_xview":
            return AUTHORS_EPOCHS, AUTHORS_REPEAT, clips
        _, seen = self._few_training(clips) if few else self._training(self.preset.finetune_clips, clips)
        return max(1, round(seen / clips)), 1, clips

    def few_labels(self, arms: Sequence[str], seed: int, label_seeds: Sequence[int], one: DataSet) -> None:
        """A tenth of the labels: each arm tries the grid on held-out people, and is measured with the best once a draw of labels."""
        labelled = int(LABEL_SHARE * one.train + 0.5)
        training, seen = self._few_training(labelled)
        tuned: dict[str, dict[str, tuple[dict[str, Any], tuple[str, ...]]]] = {arm: {} for arm in arms}
        for arm in arms:
            start, needs = self._start(arm, seed, one)
            for setting in self.preset.grid:
                label, tried = ", ".join(f"{key} {value:g}" for key, value in setting.items()), []
                for draw in self.preset.tune_seeds:
                    subset = f"subset_{one.name}_draw{draw}"
                    self.add(
                        Stage(
                            subset,
                            PREPARE,
                            "",
                            one.name,
                            "",
                            draw,
                            {**one.flags, "what": "subset", "clips": labelled, "seed": draw},
                        )
                    )
                    short = "_".join(f"{value:g}" for value in setting.values())
                    flags = {
                        "data": str(self.folder(subset)),
                        **start,
                        **_FINETUNE,
                        **one.view,
                        **setting,
                        **training,
                        "seed": draw,
                    }
                    flags |= {"setting": "tune_10", **_QUIET}
                    name = f"tune10_{arm}_{one.name}_{short}_draw{draw}"
                    tried.append(
                        self.add(Stage(name, FINETUNE, "", one.name, arm, draw, flags, (*needs, subset), seen))
                    )
                tuned[arm][label] = (dict(setting), tuple(tried))
        for draw in label_seeds:
            for arm in arms:
                start, needs = self._start(arm, seed, one)
                flags = {
                    **one.flags,
                    **start,
                    **_FINETUNE,
                    **one.view,
                    **training,
                    "label_share": LABEL_SHARE,
                    "label_seed": draw,
                }
                flags |= {"seed": draw, "setting": "semi_10", **_QUIET}
                tried_all = tuple(name for _, names in tuned[arm].values() for name in names)
                self.add(
                    Stage(f"labels10_{arm}_{one.name}_seed{draw}", FINETUNE, "labels10", one.name, arm, draw, flags, (*needs, *tried_all),
                          seen, "semi_10", tuned[arm])
                )  # fmt: skip


def make_plan(
    preset: Preset, sets: Sequence[DataSet], all_sets: Sequence[DataSet], runs: Path, *, stages: Sequence[str] = STAGES,
    seeds: Sequence[int] = (0,), label_seeds: Sequence[int] = (0, 1, 2, 3, 4), methods: Sequence[str] = ("mae", "diffmae"),
    label_arms: Sequence[str] | None = None, others: Sequence[str] = ("nw_ucla_xview",), scale: float = 1.0,
    max_steps: int | None = None, cache_dir: str | None = None,
) -> list[Stage]:  # fmt: skip
    """All stages in the order they are begun, and nothing that is not asked for or needed.

    Args:
        preset: What is spent.
        sets: Measured on; `all_sets`: pretrained on together.
        runs: Parent of the run folders.
        stages: Words of `STAGES`. universal and others bring an arm to whatever is measured; without them and pretrain, it is in-domain.
        seeds: Of pretraining, probe, fine-tuning and peer; label_seeds: of the 10 %, which start from the first of `seeds`.
        methods: mae, diffmae.
        label_arms: Where the 10 % start from, beside scratch; if None those of the preset whose pretraining is run anyway.
        others: Sets that a pretraining without them is made for, with the first method.
        scale: Times the clips seen by everything.
        max_steps: Stop every training there (a smoke test).
        cache_dir: Of the converted data.

    Raises:
        ValueError: an arm or a stage that there is not.
    """
    for word in stages:
        if word not in STAGES:
            raise ValueError(
                f"--stages has {word!r}; expected some of {', '.join(STAGES)}.{did_you_mean(word, STAGES)}"
            )
    possible = [f"{method}{origin}" for method, origin in product(methods, ("", "_universal", "_others"))]
    for arm in label_arms or ():
        if arm not in possible:
            raise ValueError(
                f"--label_arms has {arm!r}; expected some of {', '.join(possible)}.{did_you_mean(arm, possible)}"
            )
    maker = Maker(preset, {one.name: one for one in all_sets}, runs, scale, max_steps, cache_dir)
    joined = ("universal", "others") if len(all_sets) > 1 else ()
    origins = [word for word in ("pretrain", *joined) if word in stages] or ["pretrain"]

    def arms_of(one: DataSet) -> list[str]:
        arms = list(methods) if "pretrain" in origins else []
        arms += [f"{method}_universal" for method in methods] if "universal" in origins else []
        return arms + ([f"{methods[0]}_others"] if "others" in origins and one.name in others else [])

    for seed, one in product(seeds, sets):
        arms = arms_of(one)
        for arm in sorted(arms, key=lambda arm: "_" not in arm):  # those of several sets first: much waits for them
            maker.encoder(arm, seed, one)
        if "baseline" in stages and seed == seeds[0]:
            maker.probe("raw_joints", seed, one)
        if "untrained" in stages:
            maker.probe("untrained", seed, one)
        for arm in arms if "probe" in stages else ():
            maker.probe(arm, seed, one)
        for arm in ["scratch", *arms] if "finetune" in stages else ():
            maker.finetune(arm, seed, one)
        for network in preset.peers if "peer" in stages else ():
            maker.peer(network, seed, one)
    for one in sets if "labels10" in stages else ():
        if one.name in LABEL_SETS or one.name not in SETS:
            usual = [arm for arm in preset.label_arms if arm in arms_of(one)]
            maker.few_labels(["scratch", *(usual if label_arms is None else label_arms)], seeds[0], label_seeds, one)
            for draw in label_seeds if "peer" in stages and "ctrgcn" in preset.peers else ():
                maker.peer("ctrgcn", draw, one, few=True)
    return maker.closure(stages)
