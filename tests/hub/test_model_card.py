"""The card says what the files of the run say: no path of a machine, no invented number, baselines beside the result."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard

from s2i_hf.hub.model_card import render_card, write_card
from s2i_hf.models.building import build_diffmae, build_mae
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import SkeletonLayout
from s2i_hf.runs.results import append_results, result_row
from s2i_hf.runs.run_folder import RunFolder

WORDS = ("Raw skeleton file", "Skeleton array", "S2I image", "Mask", "Model", "Probe", "Card on the Hub")
CLASS_NAMES = ["wave", "throw", "sit|down"]


def data(name="nw_ucla_xview"):
    return {
        "name": name, "class_names": CLASS_NAMES, "layouts": ["kinect_v1"], "counts": {"train": 1020, "test": 464},
        "frames": {"train": 40000, "test": 14000}, "test_ids_sha256": "c0ffee" * 10,
    }  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run folder with every file that runs leave, and paths of a machine in those that hold commands and settings."""
    folder = tmp_path_factory.mktemp("secret_scratch") / "mae_nw_ucla_xview"
    folder.mkdir()
    build_mae("config:micro", image_size=64).save_pretrained(folder)
    SkeletonProcessor(layout="kinect_v1", size=64).save_pretrained(folder)
    settings = {
        "data": "nw_ucla_xview", "data_dir": "/mnt/secret/NW-UCLA", "output_dir": str(folder), "model": "config:micro", "seed": 3,
        "mask": "random", "mask_ratio": 0.75, "epochs": 40, "batch_size": 16, "base_lr": 0.00015, "crop": [0.5, 1.0], "yaw": 0.3,
        "target": "joint", "norm_pix_loss": True, "max_steps": None,
    }  # fmt: skip
    (folder / "run.yaml").write_text(yaml.safe_dump(settings))
    (folder / "data.json").write_text(json.dumps(data()))
    start = {
        "event": "start", "config": settings, "num_processes": 2, "device": "cpu", "versions": {"torch": "2.13.0"},
        "command": f"python /mnt/secret/repo/examples/pretrain_mae.py --data_dir /mnt/secret/NW-UCLA --output_dir {folder}",
    }  # fmt: skip
    rows = [
        start,
        *({"step": s, "epoch": s, "loss": 1 / s, "lr": 1e-3, "clips_per_second": 100.0 + s} for s in range(1, 12)),
    ]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (folder / "summary.json").write_text(json.dumps({"steps": 11, "seconds": 90.0}))
    measured = dict(clips=32, error=81.23, hidden_error=104.56, unit="mm", sample_id="a01_s01_e00_v03")
    measured |= dict(mask="random", mask_ratio=0.75, target="joint", uses_target_scale=True)
    (folder / "reconstruction.json").write_text(json.dumps(measured))
    for name in ("reconstruction.png", "confusion.png"):
        (folder / name).write_bytes(b"png")
    values = {"pretrained": 0.7123, "untrained": 0.501, "raw_joints": 0.444}
    append_results(
        folder,
        [
            result_row(
                dataset="nw_ucla", protocol="xview", setting=setting, encoder=encoder, method="mae", metric=metric,
                value=value - 0.1 * (setting == "knn") + 0.2 * (metric == "top5"), train_clips=1020, test_clips=464, seed=3,
                command="python examples/probe.py --data_dir $DATA_DIR", commit="0123456789ab", hardware="AMD EPYC (2 cores)",
                seconds=3.0,
            )
            for setting in ("knn", "linear_probe")
            for encoder, value in values.items()
            for metric in ("top1", "top5")
        ],
    )  # fmt: skip
    probe = {
        "chosen": {"C": 0.01, "pooling": "part"}, "validation_top1": 0.8, "note": "", "accuracy": [0.9, 0.25, None],
        "test_clips": [10, 8, 0], "confusion": [[9, 1, 0], [2, 2, 4], [0, 0, 0]],
    }  # fmt: skip
    entry = {"data": data(), "class_names": CLASS_NAMES, "encoders": {"pretrained": {"linear_probe": probe}}}
    (folder / "per_class.json").write_text(json.dumps({"nw_ucla_xview": entry}))
    write_card(folder)
    return folder


def section(text, word):
    return text.split(f". {word}\n", 1)[1].split("\n## ", 1)[0]


def test_sections_are_the_seven_words_of_the_figure(finished):
    text = (finished / "README.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [f"{i}. {word}" for i, word in enumerate(WORDS, 1)]
    assert "$" not in text.replace("$DATA_DIR", "").replace("$OUTPUT_DIR", "")  # no placeholder is left over


def test_numbers_are_those_of_the_files(finished):
    text = (finished / "README.md").read_text()
    assert "`" + "c0ffee" * 10 + "`" in section(text, "Raw skeleton file") and "| counts, test | 464 |" in text
    assert "`yaw` | `0.3`" in section(text, "Skeleton array")
    assert "81.2 mm" in text and "104.6 mm" in text and "taken from the original" in text
    assert "`random`, 75% of the patches hidden" in section(text, "Mask")
    model = section(text, "Model")
    assert "`base_lr` | `0.00015`" in model and "`max_steps`" not in model
    assert "| loss | 1.0000 |" in model and "0.0909 |" in model
    assert (
        "on cpu, 2 processes (median) | 106 |" in model
        and "1.5 minutes" in model
        and "parameters of the encoder" in model
    )
    assert "0123456789ab" in text and "AMD EPYC (2 cores)" in text and "seed 3" in text.lower()


def test_baselines_stand_beside_the_result(finished):
    lines = [line for line in section((finished / "README.md").read_text(), "Probe").splitlines() if line[:1] == "|"]
    assert [line for line in lines if "linear probe" in line] == [
        "| linear probe | **pretrained** | 71.2 | 91.2 | 3 |",
        "| linear probe | untrained | 50.1 | 70.1 | 3 |",
        "| linear probe | raw joints | 44.4 | 64.4 | 3 |",
    ]
    assert lines.index("| kNN | raw joints | 34.4 | 54.4 | 3 |") > 5
    assert "mean over so many rotated views of each clip" in section((finished / "README.md").read_text(), "Probe")
    assert "1-NN 57.1 %, linear 56.9 %, RBF kernel 66.8 %" in section((finished / "README.md").read_text(), "Probe")


def test_weakest_classes_and_what_they_are_taken_for(finished):
    text = section((finished / "README.md").read_text(), "Probe")
    rows = [line for line in text.splitlines() if line.startswith(("| throw", "| wave", "| sit"))]
    assert rows == [
        "| throw | 25.0 | sit\\|down (4 of 8) |",
        "| wave | 90.0 | throw (1 of 10) |",
    ]  # unseen classes left out


def test_no_path_of_a_machine(finished):
    text = (finished / "README.md").read_text()
    assert "secret" not in text
    assert "'$" not in text  # variables of the shell
    assert "examples/pretrain_mae.py" in text or "python pretrain_mae.py --data_dir $DATA_DIR" in text


@pytest.mark.parametrize("program", ["s2i pretrain", "python examples/pretrain_mae.py"])  # the latter in older runs
def test_a_command_that_is_public_already_stays_as_it_is(finished, tmp_path, program):
    folder = shutil.copytree(finished, tmp_path / "run")
    command = f"{program} --data_dir $DATA_DIR --output_dir $OUTPUT_DIR/x --mask random=0.5,joint=0.5"
    (folder / "metrics.jsonl").write_text(json.dumps({"event": "start", "command": command}) + "\n")
    assert f"```bash\n{command}\n```" in render_card(folder)


def test_front_matter_is_what_the_hub_reads(finished):
    card = ModelCard.load(finished / "README.md").data
    assert card.license == "apache-2.0" and card.library_name == "transformers"
    assert card.base_model is None and card.datasets is None  # a size and a protocol are no Hub repositories
    results = {(one.metric_name, one.metric_value) for one in card.eval_results}
    assert results == {
        ("top-1, linear probe, seed 3", 0.7123),
        ("top-5, linear probe, seed 3", 0.9123),
        ("top-1, kNN, seed 3", 0.6123),
        ("top-5, kNN, seed 3", 0.8123),
    }  # the pretrained encoder's alone
    assert {(one.dataset_type, one.dataset_config, one.dataset_split) for one in card.eval_results} == {
        ("nw_ucla", "xview", "test")
    }


def test_the_usage_runs_as_printed(finished, monkeypatch):
    code = re.search(r"```python\n(.*?)```", (finished / "README.md").read_text(), re.DOTALL)[1]
    monkeypatch.chdir(finished.parent)
    scope = {"joints": np.random.default_rng(0).normal(size=(30, 20, 3)).astype(np.float32)}
    exec(code, scope)
    assert scope["features"].shape == (1, 64)


def test_a_diffmae_is_named_and_its_usage_runs(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished, tmp_path / "diffmae_nw_ucla_xview")
    changes = dict(decoder_type="cross-self", rho=0.8, noise_levels=4, noisy_input="plain")
    build_diffmae("config:micro", image_size=64, **changes).save_pretrained(folder)
    settings = yaml.safe_load((folder / "run.yaml").read_text()) | {
        "model": "facebook/vit-mae-base",
        "norm_pix_loss": False,
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(settings))
    text = write_card(folder).read_text()
    assert (
        "A DiffMAE (`DiffMAEForPreTraining`) pretrained starting from `facebook/vit-mae-base` to remove noise" in text
    )
    assert "single step from pure noise" in text and "get noise in pixel space" in section(text, "Mask")
    model = section(text, "Model")
    assert "Decoder `cross-self`" in model and "as they are and predicts clean pixels" in model
    assert (
        "1,000 noise levels" in model
        and "an exponent rho of 0.8 on beta; in each pass of the encoder 4 of them" in model
    )
    assert "plain DDPM" not in model and "parameters with the decoder" in model
    card = ModelCard.load(folder / "README.md").data
    assert card.license == "cc-by-nc-4.0" and {"diffmae", "masked-autoencoder"} <= set(card.tags)
    monkeypatch.chdir(tmp_path)
    scope = {"joints": np.random.default_rng(0).normal(size=(30, 20, 3)).astype(np.float32)}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(code, scope)
    assert scope["features"].shape == (1, 64) and type(scope["model"]).__name__ == "DiffMAEForPreTraining"
    np.testing.assert_array_equal(scope["filled"].joints[:, 0, 0], scope["joints"][:, 0])
    plain = shutil.copytree(folder, tmp_path / "plain")
    build_diffmae("config:micro", image_size=64, norm_pix_loss=True).save_pretrained(plain)
    assert "plain DDPM; in each pass of the encoder 1 of them is learned from" in render_card(plain)
    assert "guesses them" in render_card(plain) and "guesses them" not in text


@pytest.mark.parametrize(
    ("origin", "licence", "base_model"),
    [
        ("config:small", "apache-2.0", None),
        ("facebook/vit-mae-base", "cc-by-nc-4.0", "facebook/vit-mae-base"),
        ("/mnt/secret/models/vit-mae-large", "cc-by-nc-4.0", None),
        ("somebody/other-mae", None, "somebody/other-mae"),
        ("/mnt/secret/other", None, None),
    ],
)
def test_licence_follows_the_weights(finished, tmp_path, origin, licence, base_model):
    folder = shutil.copytree(finished, tmp_path / "run")
    settings = yaml.safe_load((folder / "run.yaml").read_text())
    (folder / "run.yaml").write_text(yaml.safe_dump({**settings, "model": origin, "data": "somebody/skeletons"}))
    write_card(folder)
    text = (folder / "README.md").read_text()
    card = ModelCard.load(folder / "README.md").data
    assert (card.license, card.base_model, card.datasets) == (licence, base_model, ["somebody/skeletons"])
    assert "secret" not in text
    assert ("no commercial use" in text) == (licence == "cc-by-nc-4.0")
    assert ("is not recorded; find it out first" in text) == (licence is None)


def test_licence_is_inherited_from_the_card_of_an_earlier_run(finished, tmp_path):
    first = tmp_path / "first"
    first.mkdir()
    (first / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    second = tmp_path / "second"
    second.mkdir()
    (second / "run.yaml").write_text(yaml.safe_dump({"model": str(first)}))
    assert RunFolder(second).licence == "cc-by-nc-4.0"


def test_a_folder_of_something_else_keeps_its_readme(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ValueError, match=r"no folder of a pretraining.*has no run\.yaml with a model"):
        write_card(tmp_path)
    (tmp_path / "run.yaml").write_text("data: nw_ucla_xview\nnum_frames: 52\n")  # a benchmark's, which leaves no model
    with pytest.raises(ValueError, match=r"give the folder that a run wrote"):
        write_card(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def test_a_run_that_has_measured_nothing_claims_nothing(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.yaml").write_text("model: somebody/mae\n")
    text = write_card(folder).read_text()
    assert text.count("ot measured") >= 4 and "%" not in section(text, "Probe") and "| counts" not in text
    card = ModelCard.load(folder / "README.md").data
    assert card.license is None and card.eval_results is None
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "run.yaml"]


def test_written_again_it_follows_the_files(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "results.json").unlink()
    (folder / "reconstruction.png").unlink()
    text = write_card(folder).read_text()
    assert "71.2" not in text and "(reconstruction.png)" not in text and "(curve.png)" in text
    assert (folder / "curve.png").stat().st_size > 1000


def test_the_losses_stay_without_matplotlib(finished, tmp_path, monkeypatch):
    import sys

    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "curve.png").unlink()
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = write_card(folder).read_text()
    assert "| loss | 1.0000 |" in text and "curve.png" not in text


def test_errors_are_one_sentence_and_the_old_card_stays(finished, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        write_card(tmp_path / "nowhere")
    folder = shutil.copytree(finished, tmp_path / "run")
    before = (folder / "README.md").read_text()
    (folder / "data.json").write_text("{")
    with pytest.raises(ValueError, match=r"data\.json is not JSON"):
        write_card(folder)
    assert (folder / "README.md").read_text() == before


def test_custom_layouts_are_named(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    values = json.loads((folder / "preprocessor_config.json").read_text())
    values["layout"] = {"name": "stick", "joint_names": ["a", "b", "c"], "parents": [-1, 0, 1]}
    (folder / "preprocessor_config.json").write_text(json.dumps(values))
    assert "| `layout` | `stick (3 joints)` |" in render_card(folder)


@pytest.mark.parametrize(
    ("own", "layouts", "argument", "unit"),
    [
        (SkeletonLayout("mine", ["a"], [-1], {"torso": ["a"]}, unit="px"), ["mine"], "", "pixels"),
        (SkeletonLayout("mine", ["a"], [-1], {"torso": ["a"]}), ["mine"], "", "metres"),
        (None, ["mine", "kinect_v1"], ', layout="kinect_v1"', "the unit of their joint format"),
        (None, ["mine", "other"], ", layout=layout", "the unit of their joint format"),
        (None, ["kinect_v1", "kinect_v2"], ', layout="kinect_v1"', "metres"),
    ],
)
def test_code_in_a_card_runs_where_only_the_built_in_layouts_are_known(
    finished, tmp_path, own, layouts, argument, unit
):
    folder = shutil.copytree(finished, tmp_path / "run")
    SkeletonProcessor(layout=own, size=64).save_pretrained(folder)
    (folder / "data.json").write_text(json.dumps({**data(), "layouts": layouts}))
    card = render_card(folder)
    assert f"processor(joints{argument})  # (T, V, 3) or (T, M, V, 3), {unit}\n" in card
    assert f"Joints are (T, M, V, 3) in {unit}, camera" in card
    assert ("layout = s2i_hf.SkeletonLayout(name, joint_names, parents)" in card) == (argument == ", layout=layout")
