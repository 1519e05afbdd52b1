"""The pages of `docs/generated` that are made of the code: layouts, protocols, commands and the API reference."""

from __future__ import annotations

import inspect
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import standing_bodies

import s2i_hf
from s2i_hf.cli import COMMANDS
from s2i_hf.hub.markdown import markdown_table
from s2i_hf.hub.tables import dataset_sections, dataset_table
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.synthetic import generate
from s2i_hf.utils.arguments import settings_of
from s2i_hf.visualization.figures import draw_bones, draw_layout, new_figure, part_colors, save_figure

# What public functions take and return beside it: module below s2i_hf -> names.
RESULTS = {
    "data.builders": "SkeletonConfig",
    "data.skeleton_rows": "Sources",
    "readers.generic.folder": "FolderOptions",
    "processing.resizing": "Columns",
    "evaluation.features": "Rows",
    "evaluation.probes": "ProbeResult",
    "experiments.ablation": "Ablation",
    "experiments.robustness": "Damage",
    "inference.export": "Parity",
    "inference.inputs": "FoundClips",
    "inference.prediction": "Prediction",
    "inference.infilling": "InfillingOutput",
    "inference.infilling_gaps": "MeanPose",
    "models.modeling_diffmae": "DiffMAEForPreTrainingOutput",
    "visualization.infilling": "FilledRow",
}
# Sub-packages in the order of the chain, and what each page is about.
PACKAGES = {
    "processing": "Joints to images and back, and which patches are hidden.",
    "protocols": "Who trains and who tests, and where data sets come from.",
    "readers": "Raw files to clips: what a reader of one more format uses.",
    "synthetic": "People who are computed, for trying things out.",
    "data": "Rows of clips, loading, and batches.",
    "models": "Models that take the images.",
    "training": "Pretraining and fine-tuning. What the settings mean: flags of [pretrain](../commands.md#pretrain) and "
    "[finetune](../commands.md#finetune).",
    "evaluation": "Frozen features, probes and metrics.",
    "inference": "What a trained model says of recordings.",
    "experiments": "Many runs or models compared.",
    "visualization": "Pictures.",
    "inspection": "What a folder of recordings holds.",
    "runs": "What a run folder holds.",
    "hub": "Cards and uploads.",
}


def public_names() -> dict[str, list[str]]:
    """Sub-package -> its public names, as a user writes them: "s2i_hf.infill", and "s2i_hf.inference.find_clips" if not at the top."""
    found = {}
    for package in PACKAGES:
        names = import_module(f"s2i_hf.{package}").__all__
        top = set(s2i_hf.__all__)
        found[package] = [f"s2i_hf.{name}" if name in top else f"s2i_hf.{package}.{name}" for name in names]
    listed = [name for names in found.values() for name in names]
    missing = {f"s2i_hf.{name}" for name in s2i_hf.__all__ if not name.startswith("__")} - set(listed)
    for name in sorted(missing):  # a name of the package that its own sub-package does not list
        home = import_module("s2i_hf")._HOMES
        package = next(module.split(".")[0] for module, names in home.items() if name.split(".")[1] in names.split())
        found[package].append(name)
    return found


def _found(name: str) -> object:
    module, _, last = name.rpartition(".")
    return getattr(import_module(module), last)


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n")[0]


def api_page(package: str, names: list[str]) -> str:
    """The reference of a sub-package in MyST: a table of its names, and autodoc of each."""
    rows, entries = [], []
    for name in names:
        thing = _found(name)
        if inspect.isclass(thing):
            base = "" if name.endswith("Arguments") or thing.__bases__ == (object,) else "   :show-inheritance:\n"
            entries.append(f".. autoclass:: {name}\n   :members:\n{base}")
        elif inspect.isroutine(thing):
            entries.append(f".. autofunction:: {name}\n")
        else:
            entries.append(f".. py:data:: {name}\n\n   {DATA[name.split('.')[-1]]}\n")
        line = _first_line(thing) if inspect.isclass(thing) or inspect.isroutine(thing) else DATA[name.split(".")[-1]]
        rows.append((f"[`{name.removeprefix('s2i_hf.')}`](#{name})", line))
    table = markdown_table(("name", "what it is"), rows)
    page = f"# s2i_hf.{package}\n\n{PACKAGES[package]}\n\n{table}\n\n{_rst(entries)}"
    homes = {module: named for module, named in RESULTS.items() if module.split(".")[0] == package}
    more = [
        f".. autoclass:: s2i_hf.{module}.{name}\n   :members:\n"
        for module, named in homes.items()
        for name in named.split()
    ]
    return f"{page}\n## What they take and return\n\n{_rst(more)}" if more else page


def _rst(entries: list[str]) -> str:
    return "```{eval-rst}\n" + "\n".join(entries) + "\n```\n"


# What the constants are, which have no docstrings of their own.
DATA = {
    "READERS": "The readers of raw files, by name.",
    "LAYOUTS": "The joint formats that come with the package, by name.",
    "PARTS": "The five body parts, from the left of an image to its right.",
    "PROTOCOLS": "The train/test rules, by name.",
    "DATASETS": "The data sets, by name: where to get them, their terms, how many clips.",
    "SPLITS": "The names of the splits.",
    "Split": "A split by its name.",
    "ACTIONS": "The actions of the synthetic people, by name.",
}


def layout_page(layout: SkeletonLayout) -> str:
    """A section: facts, drawing and table of one joint format."""
    pairs = ", ".join(f"{left} / {right}" for left, right in layout.mirror_pairs) or "none"
    rows = [
        (part.replace("_", " "), ", ".join(f"{layout.joint_names.index(name)} {name}" for name in names))
        for part, names in layout.parts.items()
    ]
    unit = {"m": "metres", "px": "pixels"}.get(layout.unit, layout.unit)
    return (
        f"(layout-{layout.name})=\n\n## {layout.name}\n\n{layout.num_joints} joints, {unit}. {layout.source}.\n\n"
        f"![The joints of {layout.name}, coloured by body part](layouts/{layout.name}.png)\n\n"
        + markdown_table(("part", "joints, as they stand in the image"), rows)
        + f"\n\nCentre: {', '.join(layout.center)}. Mirrored: {pairs}.\n"
    )


def _default(value: object) -> str:
    """A default as one writes it behind its flag."""
    if isinstance(value, tuple | list):
        return " ".join(map(str, value)) or "none"
    return str(value).lower() if value in (None, True, False) else str(value)


def command_page() -> str:
    """Every command with its flags, as `--help` has them."""
    parts = [
        "# Commands\n\n`s2i COMMAND --help` says the same. Every command takes `--config` as well: a YAML file, or a recipe.\n"
    ]
    for name, command in COMMANDS.items():
        kinds = command.load(name)[1]
        rows = []
        for setting in settings_of(kinds).values():
            choices = f" One of {', '.join(map(str, setting.choices))}." if setting.choices else ""
            default = "required" if setting.required else _default(setting.default)
            rows.append((f"`{setting.shown}`", setting.help.replace("<", "&lt;") + choices, default))
        help = command.help[0].upper() + command.help[1:]
        parts.append(f"## {name}\n\n{help}.\n\n{markdown_table(('flag', 'what it does', 'default'), rows)}\n")
    return "\n".join(parts)


def front_picture(path: Path) -> None:
    """A kick as a stick figure in seven frames, and the image that it becomes."""
    kick = generate("kick", 1, camera=1, replication=1)
    layout = s2i_hf.get_layout(kick.layout)
    image = s2i_hf.SkeletonProcessor(layout=layout, do_normalize=False)(kick.joints, return_tensors="np")
    figure = new_figure(9.0, 2.5)
    for index, frame in enumerate(np.linspace(0, len(kick.joints) - 1, 7).astype(int)):
        axes = figure.add_axes((0.01 + 0.092 * index, 0.04, 0.09, 0.92))
        draw_bones(axes, kick.joints[frame, :1, :, :2], layout, part_colors(layout), lw=2.2)
        x, low, high = kick.joints[0, 0, 0, 0], np.nanmin(kick.joints[..., 1]), np.nanmax(kick.joints[..., 1])
        axes.set(xlim=(x - 0.5, x + 0.5), ylim=(low - 0.05, high + 0.05), aspect="equal")
        axes.set_axis_off()
    axes = figure.add_axes((0.74, 0.04, 0.255, 0.92))
    axes.imshow(image["pixel_values"][0].transpose(1, 2, 0).clip(0, 1))
    axes.set_axis_off()
    figure.text(0.69, 0.5, "→", fontsize=22, ha="center", va="center")
    save_figure(figure, path)


def _write(path: Path, text: str) -> None:
    """Only if it is another text: Sphinx reads again what is newer."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def write(docs: Path) -> None:
    """Write them all."""
    made = docs / "generated"
    names = public_names()
    made.mkdir(exist_ok=True)
    front_picture(made / "kick.png")
    for package in PACKAGES:
        _write(made / "api" / f"{package}.md", api_page(package, names[package]))
    text = "# Joint formats\n\n"
    text += "A layout says which joint is which. Its five parts, left to right, are the columns of the image, and colour the drawings.\n\n"
    rows = [
        (f"[`{one.name}`](#layout-{one.name})", one.num_joints, one.unit, one.source) for one in s2i_hf.LAYOUTS.values()
    ]
    text += markdown_table(("layout", "joints", "unit", "documented in"), rows) + "\n\n"
    for layout in s2i_hf.LAYOUTS.values():
        picture = made / "layouts" / f"{layout.name}.png"
        if not picture.is_file():
            picture.parent.mkdir(parents=True, exist_ok=True)
            draw_layout(layout, standing_bodies.standing(layout), picture)
        text += layout_page(layout) + "\n"
    _write(made / "layouts.md", text)
    text = "# Data sets and protocols\n\n"
    text += (
        "A protocol says who trains and who tests. Get the recordings from their owners, and keep to their terms.\n\n"
    )
    text += dataset_table() + "\n\n## Where to get them\n\n" + dataset_sections() + "\n"
    _write(made / "protocols.md", text)
    _write(made / "commands.md", command_page())
    for old in set(made.glob("api/*.md")) - {made / "api" / f"{package}.md" for package in PACKAGES}:
        old.unlink()


if __name__ == "__main__":
    shutil.rmtree(Path(__file__).parent / "generated", ignore_errors=True)
    write(Path(__file__).parent)
