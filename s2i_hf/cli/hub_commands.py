"""`s2i configs`, `card`, `push`, `export` and `env`: recipes, and what a run folder becomes for others."""

from __future__ import annotations

import re
import sys
import textwrap
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Literal

from ..utils.arguments import arg
from ..utils.configs import find_config, recipes


@dataclass
class ConfigsArguments:
    """Flags of `s2i configs`."""

    name: str | None = arg(None, "Print this recipe, such as nw_ucla_xview/finetune.", positional=True)


def configs(arguments: ConfigsArguments) -> None:
    """Recipes.

    s2i configs nw_ucla_xview/finetune > mine.yaml     # to change it
    """
    if arguments.name is not None:
        print(find_config(arguments.name).read_text(encoding="utf-8"), end="")
        return
    for name in recipes():
        lines = find_config(name).read_text(encoding="utf-8").splitlines()
        comment = " ".join(
            line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines)
        )
        sentence = re.split(r"(?<=\.)\s", comment)[0]
        print(textwrap.fill(f"{name:44}{sentence}", 140, subsequent_indent=" " * 44, break_on_hyphens=False))


@dataclass
class CardArguments:
    """Flags of `s2i card`."""

    folder: str = arg(help="Run folder; its README.md is written anew from its other files.", positional=True)


def card(arguments: CardArguments) -> None:
    """Write a card anew."""
    from ..hub.model_card import write_card

    print(f"Written: {write_card(Path(arguments.folder).expanduser())}")


@dataclass
class PushArguments:
    """Flags of `s2i push`."""

    folder: str = arg(help="Run folder of a finished pretraining or fine-tuning.", positional=True)
    repository: str = arg(help="user/name[@branch]: model repository; made, and private, if new.", positional=True)
    public: bool = arg(False, "Make it public, or upload to a public one.")
    branch: str = arg("main", "Branch to commit to.")
    message: str | None = arg(None, "Of the commit.")
    output: str | None = arg(None, "Write what would be uploaded to this new folder, and upload nothing.")


def push(arguments: PushArguments) -> None:
    """Upload a run folder, or write what would be uploaded."""
    from ..hub.public_files import public_files, write_files
    from ..hub.push import check_repository, publish_run, split_branch

    if arguments.output:
        files = public_files(arguments.folder, arguments.repository)
        write_files(files, arguments.output)
        print(f"{len(files)} files written to {arguments.output}; nothing was uploaded.")
        return
    split_branch(arguments.repository, arguments.branch)
    public_files(arguments.folder, arguments.repository)  # whatever is wrong with the folder comes before the token
    check_repository(arguments.repository)
    address = publish_run(
        arguments.folder,
        arguments.repository,
        private=not arguments.public,
        branch=arguments.branch,
        message=arguments.message,
        progress=sys.stderr.isatty(),
    )
    print(f"Uploaded: {address}")


@dataclass
class ExportArguments:
    """Flags of `s2i export`."""

    model: str = arg(help="Folder of a fine-tuning, or Hub id.", positional=True)
    format: Literal["onnx", "torch"] = arg("onnx", "torch: a torch.export program.")
    output: str | None = arg(None, "File to write; model.onnx or model.pt2 in the folder if none.")
    opset: int = arg(18, "Version of the ONNX operators, 18 to 23.")
    layout: str | None = arg(None, "Joint format that the metadata is for; the model's if none.")
    clips: str | None = arg(None, "Recordings to compare on; synthetic clips if none.")
    overwrite: bool = arg(False, "Replace a file that is there.")


def export(arguments: ExportArguments) -> int:
    """Write a classifier for ONNX or torch.export.

    s2i export runs/classifier --format onnx --clips recordings

    The file takes images in batches of any size, and its metadata says how joints become images.
    """
    from ..inference.export import run

    return run(**asdict(arguments))


@dataclass
class EnvArguments:
    """Flags of `s2i env`."""

    json: bool = arg(False, "As one JSON object.")


def env(arguments: EnvArguments) -> None:
    """Print versions and devices."""
    from ..runs.provenance import run

    run(as_json=arguments.json)
