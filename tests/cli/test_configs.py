"""The recipes of the package: `--config` finds them, they name settings that exist, and their comments show their command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import run

from s2i_hf.cli import COMMANDS
from s2i_hf.processing.layout_conversion import joint_indices
from s2i_hf.processing.layouts import get_layout
from s2i_hf.protocols import PROTOCOLS
from s2i_hf.training.finetune_arguments import FinetuneArguments
from s2i_hf.training.pretrain_arguments import DiffMAEArguments
from s2i_hf.utils.arguments import read_arguments, several
from s2i_hf.utils.configs import RECIPES, find_config, recipes

NAMES = recipes()
DIFFMAE = ("decoder_type", "noise_levels", "noisy_input", "rho", "rho_on")
TABLE = (RECIPES / "README.md").read_text(encoding="utf-8")


def text(name: str) -> str:
    return find_config(name).read_text(encoding="utf-8")


def values(name: str) -> dict[str, Any]:
    return yaml.safe_load(text(name))


def arguments(name: str, *words: str) -> Any:
    """The settings of a recipe, as the command in its comment reads them."""
    command = (
        "pretrain"
        if name == "demo"
        else re.search(rf"s2i(?:_hf)? ([\w-]+) \\?\s*#?\s*--config {name}\b", text(name))[1]
    )  # type: ignore[index]
    return read_arguments(COMMANDS[command].load(command)[1], ["--config", name, *words], command)


def test_they_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "configs")
    listed = [line for line in out.splitlines() if not line.startswith(" ")]  # the others go on
    assert code == 0 and [line.split()[0] for line in listed] == NAMES and len(NAMES) > 30
    sentences = [part.split(maxsplit=1)[1] for part in re.sub(r"\n +", " ", out).splitlines()]
    for name, sentence in zip(NAMES, sentences, strict=True):
        assert sentence.endswith(".") and sentence[0].isupper() | (sentence[0] == "`"), name
        assert sentence in re.sub(r"\n# ?", " ", text(name)), name
    assert run(capsys, "configs", "nw_ucla_xview/finetune") == (0, text("nw_ucla_xview/finetune"), "")
    code, _, err = run(capsys, "configs", "nw_ucla_xview/finetun")
    assert code == 2 and "Did you mean 'nw_ucla_xview/finetune'?" in err


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("probe")])
def test_a_recipe_parses_and_says_how_it_is_used(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where no run folder is: names are taken for those of the Hub
    given = values(name)
    if name.startswith("ablations/"):
        assert f"s2i ablate --config {name} " in text(name) and given["base"]["data"] in PROTOCOLS
        return
    found = arguments(name, *([] if {"model", "models"} & set(given) else ["--model", "config:micro"]))
    assert several(found.data) == several(given["data"])
    if "output_dir" in given:
        assert str(found.run_dir) == given["output_dir"]
    if not name.startswith("demo"):
        assert {Path(source).name for source in several(given["data"])} <= set(PROTOCOLS)
    protocol = PROTOCOLS.get(several(given["data"])[0])
    wanted = [given.get("to_layout"), given.get("gallery"), *given.get("queries", [])]
    for layout in filter(None, wanted):
        assert protocol is not None
        joint_indices(get_layout(protocol.layout), get_layout(layout))  # raises where a joint is missing
    for other in re.findall(r"\b[a-z]\w+/[a-z]\w+\b", " ".join(re.findall(r"#.*", text(name)))):
        assert other.split("/")[0] in ("facebook", "runs", "model_cards") or other in NAMES, other


def test_recipes_of_the_paper_and_of_several_sets() -> None:
    paper = arguments("ntu60_xsub/pretrain_mae")
    recipe = (paper.model, paper.mask, paper.mask_ratio, paper.base_lr, paper.weight_decay, paper.warmup_epochs)
    assert recipe == ("facebook/vit-mae-base", "random", 0.75, 1.5e-4, 0.05, 40)
    several_sets = arguments("universal/pretrain_mae")
    names = [Path(source).name for source in several_sets.sources]
    assert len({PROTOCOLS[name].layout for name in names}) > 2
    assert set(names) <= set(several_sets.holdout) <= set(PROTOCOLS) and several_sets.mixture == 0.5
    for name in NAMES:
        if name.endswith("pretrain_diffmae"):
            twin = arguments(name.replace("diffmae", "mae"), "--method", "diffmae")
            different = {key for key, value in vars(arguments(name)).items() if getattr(twin, key) != value}
            assert type(arguments(name)) is DiffMAEArguments and different <= {
                "model",
                "norm_pix_loss",
                "output_dir",
                *DIFFMAE,
            }
            assert arguments(name).output_dir == f"runs/diffmae_{name.split('/')[0]}"


def test_folders_of_one_recipe_are_found_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a recipe starts from is what another one leaves behind."""
    monkeypatch.chdir(tmp_path)
    made, used = set(), set()
    for name in NAMES:
        made |= {values(name).get("output_dir", ""), *re.findall(r"--output_dir (\S+)", text(name))}
        starts = [values(name).get("model", ""), *values(name).get("models", [])]
        used |= {model for model in starts if model.startswith("runs/")}
    assert used - made == {"runs/finetune_mae_nw_ucla_xview"}  # the folder that a fine-tuning takes by itself
    assert FinetuneArguments(model="runs/mae_nw_ucla_xview", data="nw_ucla_xview").output_dir in used


def test_recipes_of_nw_ucla_differ_by_their_setting_alone() -> None:
    """Numbers of two settings are compared, so what is not the setting is the recipe of the plain fine-tuning."""
    plain = arguments("nw_ucla_xview/finetune", "--model", "config:tiny")
    same = ("pooling", "crop", "yaw", "tilt", "scale", "base_lr", "batch_size", "layer_decay", "precision")
    found = [
        name for name in NAMES if f"s2i finetune --config {name} " in text(name) and name.startswith("nw_ucla_xview/")
    ]
    assert len(found) > 9
    for name in found:
        one = arguments(name, "--model", "config:tiny")
        assert [getattr(one, setting) for setting in same] == [getattr(plain, setting) for setting in same], name


def test_one_output_folder_each() -> None:
    folders = [values(name)["output_dir"] for name in NAMES if "output_dir" in values(name)]
    assert len(set(folders)) == len(folders) > 10


def test_every_setting_of_the_paper_has_a_recipe_and_a_line() -> None:
    for name in NAMES:
        if "/" in name and ("setting" in values(name) or "models" in values(name)):
            assert name.split("/")[1] in TABLE, name
    assert {values(name).get("label_share") for name in NAMES} >= {0.01, 0.05, 0.1}
