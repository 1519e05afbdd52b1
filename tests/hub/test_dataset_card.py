"""A dataset card says what the rows are and nothing else; its code runs, and its header lets the Hub find the files."""

from __future__ import annotations

import json
import re
import sys

import datasets
import numpy as np
import pytest
import yaml
from bodies import clip, walker
from PIL import Image

import s2i_hf
from s2i_hf.data.storage import FORMATS, FolderWriter, is_whole, read_meta
from s2i_hf.hub.dataset_card import CardCounts, dataset_card, write_dataset_card
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import get_protocol

RULE = get_protocol("nw_ucla_xview")


def write(folder, format="parquet", clips=None, **extra):
    folder.mkdir()
    writer = FolderWriter(folder, RULE, format, ("train", "test"))
    two = SkeletonSequence(
        np.concatenate([walker(frames=5), walker(frames=5, seed=1)], axis=1),
        LAYOUTS["kinect_v1"],
        label=3,
        subject=4,
        camera=3,
        sample_id="c",
    )
    for split, one in clips or [
        ("train", clip("a", label=0, subject=1, camera=1)), ("train", clip("b", label=0, subject=2, camera=2)), ("test", two),
    ]:  # fmt: skip
        writer.write(split, one)
    writer.close(
        {"command": "s2i convert nw_ucla_xview --format parquet", "source": RULE.source, "denoise": True, **extra}
    )
    return folder


def cells(text, first):
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


@pytest.mark.parametrize("format", FORMATS)
def test_counts_by_hand(tmp_path, format):
    text = write_dataset_card(write(tmp_path / "out", format)).read_text()
    assert cells(text, "train") == ["train", "2", "24", "12 / 12 / 12", "2 x 1", "2", "2"]
    assert cells(text, "test") == ["test", "1", "5", "5 / 5 / 5", "1 x 2", "1", "1"]
    assert cells(text, "0") == ["0", "pick up with one hand", "2", "0"] and cells(text, "3")[2:] == ["0", "1"]
    assert "# NW-UCLA Multiview Action 3D, nw_ucla_xview" in text and "train (2) and test (1)" in text
    assert cells(text, "licence")[1] == "research use, cite (not seen)" and "makes the repository private" in text
    assert "Metres, camera frame, y up" in text and "| left arm | 4 ShoulderL, 5 ElbowL, 6 WristL, 7 HandL |" in text
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "1. Raw skeleton file",
        "2. Skeleton array",
        "3. S2I image",
        "Intended use",
        "Terms and privacy",
    ]
    assert "$" not in text and "s2i convert nw_ucla_xview --format parquet --data-dir DATA" in text


def test_columns_are_those_of_a_row(tmp_path):
    text = write_dataset_card(write(tmp_path / "out")).read_text()
    assert re.findall(r"^\| `(\w+)` \|", text.split("## 2.")[1].split("Metres")[0], re.MULTILINE) == list(
        clip().to_row()
    )


def test_the_header_finds_the_files(tmp_path):

    folder = write(tmp_path / "out")
    text = write_dataset_card(folder).read_text()
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["configs"][0]["config_name"] == "nw_ucla_xview" and header["license"] == "other"
    assert (
        header["size_categories"] == ["n<1K"] and header["pretty_name"] == "NW-UCLA Multiview Action 3D, nw_ucla_xview"
    )
    data = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert data["train"]["sample_id"] == ["a", "b"] and data["test"].features["label"].names == list(RULE.class_names)


@pytest.mark.parametrize("format", ["parquet", "npz"])
def test_its_code_runs(tmp_path, monkeypatch, format):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    folder = write(tmp_path / "out", format)
    text = write_dataset_card(folder, "somebody/skeletons").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == (2 if format == "parquet" else 1)
    for block in blocks:
        names: dict = {}
        exec(re.sub(r'"(somebody/skeletons|path/to/this/folder)"', repr(str(folder)), block), names)
        assert len(names["data"]["train"]) == 2
    assert names["image"].shape == (1, 3, 224, 224)
    assert Image.open("clip.png").size == (224, 224)
    if format == "parquet":
        assert names["images"][1]["pixel_values"].shape == (3, 224, 224) and names["images"][1]["labels"] >= 0


def test_a_preview_is_images_that_the_viewer_shows(tmp_path):
    folder = write(tmp_path / "out")
    text = write_dataset_card(folder, preview=5).read_text()
    configs = yaml.safe_load(text.split("---\n")[1])["configs"]
    assert [config["config_name"] for config in configs] == ["nw_ucla_xview", "preview"] and configs[0]["default"]
    assert is_whole(folder, read_meta(folder)) and write_dataset_card(folder).read_text() == text
    cache = str(tmp_path / "cache")
    assert (
        "joints" in datasets.load_dataset(str(folder), cache_dir=cache)["train"].features
    )  # as if there were no preview
    shown = datasets.load_dataset(str(folder), "preview", cache_dir=cache)
    assert shown["train"].features["image"] == datasets.Image() and shown["train"]["sample_id"] == ["a", "b"]
    rows, processor = s2i_hf.as_rows(s2i_hf.load_skeletons(str(folder))["train"]), s2i_hf.SkeletonProcessor()
    for index, row in enumerate(shown["train"]):
        mean, deviation = (np.array(values) for values in (processor.image_mean, processor.image_std))
        pixels = processor(rows[index], return_tensors="np")["pixel_values"][0].transpose(1, 2, 0) * deviation + mean
        assert np.abs(np.asarray(row["image"]) / 255 - pixels).max() < 0.5 / 255 + 1e-5


def test_the_picture(tmp_path):
    folder = write(tmp_path / "out")
    text = write_dataset_card(folder).read_text()
    picture = (folder / "layout.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and "](layout.png)" in text
    assert write_dataset_card(folder).read_text() == text and (folder / "layout.png").read_bytes() == picture
    assert is_whole(folder, read_meta(folder))  # s2i.json knows the sizes of the new files


def test_without_matplotlib_there_is_no_picture_and_the_card_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    folder = write(tmp_path / "out")
    text = write_dataset_card(folder).read_text()
    assert "layout.png" not in text and "pip install 's2i-hf[viz]'" in text and not (folder / "layout.png").exists()


def test_what_went_wrong_is_told(tmp_path):
    wrong = {
        "broken": ["a.json: not JSON | <b>"], "left_out": {"on the list of missing skeletons": ["x", "y"]},
        "missing": {"train": {"count": 1018, "first": ["z"]}, "test": 463},
        "parts_left_out": ["b.json: frame 3 of 5 is left out.", "c.json: frame 1 of 5 is left out."],
        "warnings": ["Class 'walk' has test clips and no training clip."], "notes": ["labels.csv: every subject has a number: 0 anna."],
    }  # fmt: skip
    text = write_dataset_card(write(tmp_path / "out", **wrong)).read_text()
    assert "1 recordings could not be read" not in text and r"not JSON \| &lt;b>" in text
    assert "Of 2 recordings a part was left out, the first: b.json: frame 3 of 5 is left out." in text
    assert (
        "Class 'walk' has test clips and no training clip." in text and "anna" not in text
    )  # names of people stay in s2i.json
    assert "Not read, on the list of missing skeletons: 2." in text
    assert "Missing from the complete data set: 1,018 of train, 463 of test." in text


def test_own_recordings_in_a_format_of_ones_own(tmp_path):
    mine = SkeletonLayout("only_here", ["pelvis", "head", "left_foot", "right_foot"], [-1, 0, 0, 0], unit="px")
    joints = np.random.default_rng(0).normal(size=(3, 1, 4, 3)).astype(np.float32)
    counts = CardCounts()
    counts.add("train", SkeletonSequence(joints, mine, sample_id="x").to_row())
    meta = {
        "protocol": "folder",
        "format": "npz",
        "counts": {"train": 1},
        "class_names": ["<b>|", "wave"],
        "layouts": {"only_here": mine.to_dict()},
    }
    text = dataset_card(meta, counts, tmp_path)
    assert "Recordings of one's own" in text and "`only_here`, 4 joints" in text and "Image pixels" in text
    assert cells(text.replace(r"\|", "!"), "0") == ["0", "&lt;b>!", "0"] and cells(text, "-1") == [
        "-1",
        "not known",
        "1",
    ]
    assert "load_dataset" not in text and (tmp_path / "layout.png").is_file()
    assert dataset_card(meta, counts) == re.sub(r"\n\n!\[[^\n]*", "", text)  # without a folder no picture is drawn


def test_folders_that_were_not_converted(tmp_path):
    with pytest.raises(ValueError, match=r"has no s2i\.json"):
        write_dataset_card(tmp_path)


def test_json_stays_readable(tmp_path):
    folder = write(tmp_path / "out")
    before = json.loads((folder / "s2i.json").read_text())
    write_dataset_card(folder)
    after = json.loads((folder / "s2i.json").read_text())
    assert {key: value for key, value in after.items() if key != "files"} == {
        k: v for k, v in before.items() if k != "files"
    }
