"""The YAML of an ablation: which runs it means, and one sentence for what it cannot mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import one_sentence, refused

from s2i_hf.experiments.ablation_plan import AblationPlan, Variant, read_plan, run_name, settings_digest
from s2i_hf.utils.configs import RECIPES


def plan_of(tmp_path: Path, **parts: Any) -> AblationPlan:
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({"base": {"data": "nw_ucla_xview", "mask": "random"}, **parts}, sort_keys=False))
    return read_plan(path)


def names(plan: AblationPlan) -> list[str]:
    return [variant.name for variant in plan.variants]


def test_variants_of_every_part_after_the_base(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        vary={"mask": ["random", "joint"], "mask_ratio": [0.75, [0.5, 0.9]]},
        grid={"stream": ["joint", "bone"], "size": [224, 64]},
        variants=[{"name": "as sensed", "joint_order": "sensor"}, {"name": "again joint", "mask": "joint"}],
        seeds=[3, 4],
    )
    # what the base or an earlier variant is already comes once
    assert names(plan) == ["base", "mask=joint", "mask_ratio=0.5 0.9", "stream=joint, size=64", "stream=bone, size=224",
                           "stream=bone, size=64", "as sensed"]  # fmt: skip
    assert plan.seeds == (3, 4) and plan.method == "mae"
    settings = plan.pretraining(plan.variants[2], 4, tmp_path)
    assert (settings.mask, settings.mask_ratio, settings.seed) == ("random", (0.5, 0.9), 4)
    assert settings.run_dir == tmp_path / "mask_ratio=0.5_0.9_seed4" and settings.resume == "auto" and not settings.card
    assert run_name(Variant("a/b: ../c"), 0) == "a_b_.._c_seed0"


def test_the_digest_is_of_what_decides_the_numbers(tmp_path: Path) -> None:
    def digest(base: dict[str, Any], **parts: Any) -> str:
        plan = plan_of(tmp_path, base={"data": "nw_ucla_xview", **base}, vary={"mask": ["joint"]}, **parts)
        return settings_digest(plan, plan.pretraining(plan.variants[0], 0, tmp_path))

    first = digest({})
    for same in ({"num_workers": 3, "data_dir": "elsewhere", "save_every": 7}, {"data": "moved/nw_ucla_xview"}):
        assert digest(same) == first
    assert digest({}, probe={"batch_size": 64}) == first
    others = [digest({"base_lr": 1.0}), digest({"data": "utd_mhad_xsub"}), digest({}, probe={"copies": 1}),
              digest({}, method="diffmae")]  # fmt: skip
    assert len({first, *others}) == 5


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"vari": {"mask": ["joint"]}}, "unknown part 'vari'.*Did you mean 'vary'"),
        ({}, "varies nothing"),
        ({"vary": {"mask": ["random"]}}, "varies nothing"),
        ({"vary": {"mask": "joint"}}, "vary gives mask no list"),
        ({"vary": ["mask"]}, "vary is a list; expected a dict"),
        ({"vary": {"maks": ["joint"]}}, "unknown setting 'maks'. Did you mean 'mask'?"),
        ({"vary": {"size": ["large"]}}, "size is 'large'; expected a whole number"),
        ({"vary": {"mask": ["jiont"]}}, "mask is 'jiont'.*Did you mean 'joint'"),
        ({"vary": {"seed": [1, 2]}}, "sets seed, which the ablation gives"),
        ({"vary": {"mask": ["joint"]}, "base": {"output_dir": "x", "data": "y"}}, "base sets output_dir"),
        ({"vary": {"mask": ["joint"]}, "base": {"mask": "random"}}, "base does not set data"),
        ({"vary": {"mask": ["joint"]}, "probe": {"copy": 1}}, "probe: unknown setting 'copy'"),
        ({"vary": {"mask": ["joint"]}, "probe": {"settings": ["knn", "linear_probe"]}}, "has 2 settings"),
        ({"vary": {"mask": ["joint"]}, "probe": {"model": "x"}}, "probe sets model"),
        ({"vary": {"mask": ["joint"]}, "seeds": []}, r"seeds are \[\]"),
        ({"vary": {"mask": ["joint"]}, "seeds": [0, 0]}, "different whole numbers"),
        ({"vary": {"mask": ["joint"]}, "seeds": [True]}, "different whole numbers"),
        ({"vary": {"mask": ["joint"]}, "method": "vae"}, "method is 'vae'; expected one of mae, diffmae"),
        ({"variants": [{"mask": "joint"}]}, "variant 1 has no name"),
        ({"variants": [{"name": "base", "mask": "joint"}]}, "two variants are called 'base'"),
        ({"variants": [{"name": "a b", "mask": "joint"}, {"name": "a/b", "mask": "block"}]}, "two variants are called"),
    ],
)
def test_plans_that_mean_nothing(tmp_path: Path, parts: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        plan_of(tmp_path, **parts)
    assert one_sentence(caught.value), caught.value


@pytest.mark.parametrize("name", ["streams", "to_layout"])
def test_the_probe_reads_what_was_pretrained_on(tmp_path: Path, name: str) -> None:
    settings = {"streams": ["joint", "bone"], "to_layout": "lcrnet_13"}
    with refused(ValueError, match=f"probe sets {name}, but an ablation reads the images"):
        plan_of(tmp_path, vary={"mask": ["joint"]}, probe={name: settings[name]})


@pytest.mark.parametrize("text", ["- a\n", "a: [", "", "\x80"])
def test_files_that_are_no_plan(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"plan\.yaml (holds a|is not valid YAML)"):
        read_plan(tmp_path / "plan.yaml")


def test_the_configs_cover_what_was_asked_for() -> None:
    found: set[str] = set()
    for path in sorted((RECIPES / "ablations").glob("*.yaml")):
        plan = read_plan(path, data_dir="somewhere")
        text = path.read_text()
        seeds = f" x {len(plan.seeds)} seeds" if len(plan.seeds) > 1 else ","
        assert f"{len(plan.variants)} variants{seeds}" in text and f"--config ablations/{path.stem} " in text
        found |= {name for variant in plan.variants for name in variant.changes}
        assert plan.pretraining(plan.variants[0], 0, Path("x")).data_dir == "somewhere"
    wanted = {
        "mask",
        "mask_ratio",
        "joint_order",
        "part_widths",
        "value_range",
        "interpolation",
        "people",
        "stream",
        "size",
    }
    assert found >= wanted


def test_rows_from_before_a_setting_was_renamed_stay_valid(tmp_path: Path) -> None:
    """The digest that the same plan had when `rotations` was called `turns`."""
    parts = {"base": {"data": "nw_ucla_xview", "model": "config:micro"}, "vary": {"mask": ["joint"]}}
    plan = plan_of(tmp_path, **parts, probe={"settings": "knn", "rotations": 3})
    digests = [settings_digest(plan, plan.pretraining(variant, 0, tmp_path)) for variant in plan.variants]
    assert digests == ["8b000a38942f8180", "c5720fc00b706c01"]
