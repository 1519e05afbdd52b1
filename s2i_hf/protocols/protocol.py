"""What a benchmark protocol is: who trains and who tests, how many clips that should give, what the classes are called.

A protocol is plain data: `PROTOCOLS["ntu60_xsub"].split("S001C001P001R001A001")` is "train". The ids of samples say all
that a rule asks for, so a split is known before a recording is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from .resources import read_list

Split = Literal["train", "test", "exemplars"]
SPLITS: tuple[Split, ...] = ("train", "test")
Metric = Literal["accuracy", "mean_class_accuracy"]


class SampleName(NamedTuple):
    """What the name of a sample says, with the dataset's own numbers (actions from 1); -1 where it says nothing.

    `video` is the untrimmed recording that a segment is cut from; "" where recordings are clips. `style` is how an action is done, `take`
    counts the clips of one action in one style.
    """

    action: int = -1
    subject: int = -1
    camera: int = -1
    setup: int = -1
    video: str = ""
    style: int = -1
    take: int = -1


# What names look like, and what is read off one; a pattern alone has groups named like the fields of `SampleName`.
NameParser = re.Pattern[str] | tuple[re.Pattern[str], Callable[[re.Match[str]], SampleName]]


@dataclass(frozen=True)
class Dataset:
    """Where a dataset comes from, for documentation, cards and `s2i inspect`.

    Args:
        name: First half of the names of its protocols: "ntu60".
        title: As its authors write it.
        reader: Module of `s2i_hf.readers` that knows its files.
        layout: Joint format.
        homepage: Where its owners offer it.
        licence: Its terms in a phrase; "(not seen)" where no text was at hand.
        citation: Authors, title, venue.
        get_it: What to download.
        tree: An example path inside the download.
        size: Files and bytes of the complete set.
        fps: Frames a second; None if it varies.
    """

    name: str
    title: str
    reader: str
    layout: str
    homepage: str
    licence: str
    citation: str
    get_it: str
    tree: str
    size: str
    fps: float | None = 30.0

    def protocol(self, rule: str, actions: Iterable[int], classes: str = "", **fields: Any) -> Protocol:
        """A rule of this dataset, published where the dataset is; `fields` are those of `Protocol`.

        `classes` is the resource with the class names; "": the one named after the dataset.
        """
        classes = classes or f"{self.name}_classes.txt"
        return Protocol(self.name, rule, self.reader, self.layout, tuple(actions), classes, self.citation, **fields)


@dataclass(frozen=True)
class Protocol:
    """One train/test rule of one dataset.

    Args:
        dataset: Name of the dataset, first half of the protocol's name: "ntu60".
        rule: Name of the rule, second half of it: "xsub".
        reader: Module of `s2i_hf.readers` that knows the files.
        layout: Joint format of the recordings.
        actions: The dataset's own numbers of the actions, in the order of the labels: label 0 is `actions[0]`.
        classes: Resource with the class names: one an action of `actions`, or those of the whole dataset from action 1 on.
        source: Where the rule is published.
        split_by: What decides: a number in the name, or the sample (its video, where it is cut from one) by name.
        train: Values that train.
        test: Values that test; None: all others.
        exemplars: Ids of the samples that are shown of each new class, in one-shot protocols; they neither train nor test.
        expected_clips: Clips that train and that test when the dataset is complete; None if not known or not fixed.
        expected_videos: Videos that train and that test then, where clips are cut from videos.
        setups: Setups (NTU), parts (PKU-MMD) or sets (Bandai-Namco) that belong to the dataset; None: any.
        missing: Resource with the samples to leave out because their skeletons are missing.
        samples: Gives the names of all samples of the complete dataset; None if nobody lists them.
        split_files: Names of files that come with the data; one of them decides, if it is there.
        in_turns: Clips of one action and style that are there alternate in the order of their takes: the first of two trains, the second
            tests. Where none is missing that is what `split_by` says.
        metric: What is reported on it: top-1 accuracy, or the mean over the classes of each one's accuracy.
    """

    dataset: str
    rule: str
    reader: str
    layout: str
    actions: tuple[int, ...]
    classes: str
    source: str
    split_by: Literal["subject", "camera", "setup", "action", "style", "take", "sample"] = "subject"
    train: frozenset[int] | frozenset[str] = frozenset()
    test: frozenset[int] | frozenset[str] | None = None
    exemplars: frozenset[str] = frozenset()
    expected_clips: tuple[int, int] | None = None
    expected_videos: tuple[int, int] | None = None
    setups: Collection[int] | None = None
    missing: str | None = None
    samples: Callable[[], Collection[str]] | None = None
    split_files: tuple[str, ...] = ()
    in_turns: bool = False
    metric: Metric = "accuracy"

    @property
    def name(self) -> str:
        """Such as "ntu60_xsub"."""
        return f"{self.dataset}_{self.rule}" if self.rule else self.dataset

    @property
    def needs_data(self) -> bool:
        """Whether names alone do not say who trains: a file beside the recordings decides, or which of them are there."""
        return bool(self.split_files) or self.in_turns

    @property
    def splits(self) -> tuple[Split, ...]:
        """Names of its splits."""
        return ("train", "exemplars", "test") if self.exemplars else SPLITS

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        names = read_list(self.classes)
        return names if len(names) == len(self.actions) else tuple(names[action - 1] for action in self.actions)

    @property
    def id2label(self) -> dict[int, str]:
        """Label -> class name, as a model config takes it."""
        return dict(enumerate(self.class_names))

    @cached_property
    def missing_samples(self) -> frozenset[str]:
        """Ids of the samples whose skeletons are missing or incomplete; they neither train nor test."""
        return frozenset(read_list(self.missing)) if self.missing else frozenset()

    @cached_property
    def _labels(self) -> Mapping[int, int]:
        return {action: label for label, action in enumerate(self.actions)}

    def _parse(self, sample_id: str) -> SampleName | None:
        from . import parse_name  # the table of all families, which this module is below of

        return parse_name(self.reader, sample_id)

    def file_splits(self, stem: str) -> tuple[Split, ...]:
        """Splits that clips of a raw file, or of an untrimmed video, may be in, by its stem; none if it is not of this protocol."""
        return self._splits(stem, self._parse(stem))

    def _splits(self, stem: str, sample: SampleName | None) -> tuple[Split, ...]:
        if sample is None or (sample.action >= 0 and sample.action not in self._labels):
            return ()
        if stem in self.missing_samples or (self.setups is not None and sample.setup not in self.setups):
            return ()
        if stem in self.exemplars:
            return ("exemplars",)
        value = (sample.video or stem) if self.split_by == "sample" else getattr(sample, self.split_by)
        if value == -1:
            return self.splits  # a file of several subjects: its clips tell
        if value in self.train:
            return ("train",)
        return ("test",) if self.test is None or value in self.test else ()

    def split(self, sample_id: str) -> Split | None:
        """Where a sample belongs, from its name alone; None if it is no sample of this protocol.

        It is none if it is named otherwise, has an action or setup of another dataset, is on the list of missing skeletons, or in
        neither part of the rule.
        """
        sample = self._parse(sample_id)
        splits = self._splits(sample_id, sample)
        return splits[0] if len(splits) == 1 and sample is not None and sample.action >= 0 else None

    def label(self, sample_id: str) -> int:
        """0-based label of a sample, from its name. Raises ValueError if it names none of this protocol's actions."""
        sample = self._parse(sample_id)
        if sample is None or sample.action not in self._labels:
            known = f"its actions are {self.actions[0]}..{self.actions[-1]}"
            raise ValueError(f"{sample_id!r} is no sample of {self.name}; {known}.")
        return self._labels[sample.action]

    def expected(self, split: Split) -> int | None:
        """Clips that `split` has when the dataset is complete."""
        if split == "exemplars":
            return len(self.exemplars)
        return None if self.expected_clips is None else self.expected_clips[split == "test"]

    def expected_ids(self, split: Split) -> list[str] | None:
        """Sorted ids of the samples that `split` has when the dataset is complete; None if they are not listed."""
        return None if self.expected(split) is None or self.samples is None else self._complete[split]

    @cached_property
    def _complete(self) -> Mapping[Split, list[str]]:
        """Sorted ids of each split of the complete dataset."""
        splits = [(self.split(name), name) for name in (sorted(self.samples()) if self.samples else ())]
        return {split: [name for at, name in splits if at == split] for split in self.splits}


def numbers(text: str) -> frozenset[int]:
    """`"1 2 5-7"` -> {1, 2, 5, 6, 7}."""
    spans = [span.partition("-") for span in text.split()]
    return frozenset(number for low, _, high in spans for number in range(int(low), int(high or low) + 1))
