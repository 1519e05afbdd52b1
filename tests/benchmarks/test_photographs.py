"""benchmarks/photographs.py: the controls differ from photographs in what they should, and a stopped training goes on as it was."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from conftest import one_sentence
from PIL import Image
from transformers import ViTMAEForPreTraining

from s2i_hf.training.interruption import RunInterrupted

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import photographs
from photographs import PhotographArguments, make_images, pretrain, random_crops, read_images, scramble_phases


def pictures(count: int, side: int = 32) -> np.ndarray:
    """Images with edges: a bright rectangle on a dark ground, in colours."""
    generator = np.random.default_rng(0)
    images = np.full((count, side, side, 3), 40, np.uint8)
    for image in images:
        top, left, height, width = generator.integers(4, side // 2, 4)
        image[top : top + height, left : left + width] = generator.integers(90, 250, 3)
    return images


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = []
    for image in pictures(60):
        data = io.BytesIO()
        Image.fromarray(image).save(data, "PNG")
        rows.append({"bytes": data.getvalue(), "path": "x.png"})
    pyarrow.parquet.write_table(pyarrow.table({"image": rows, "label": [0] * 60}), tmp_path / "images.parquet")
    return tmp_path / "images.parquet"


def test_images_are_read_as_they_were_written(file: Path) -> None:
    np.testing.assert_array_equal(read_images(file), pictures(60))
    assert len(read_images(file, 7)) == 7


def test_scrambled_photographs_keep_spectrum_and_colours_and_lose_shapes() -> None:
    images = pictures(5)
    scrambled = scramble_phases(images, 0)
    for before, after in zip(images.astype(float), scrambled, strict=True):
        for channel in range(3):
            spectrum = np.abs(np.fft.fft2(before[..., channel]))
            np.testing.assert_allclose(np.abs(np.fft.fft2(after[..., channel])), spectrum, atol=1e-3 * spectrum.max())
        np.testing.assert_allclose(after.mean((0, 1)), before.mean((0, 1)), rtol=1e-4)
        covariance = np.cov(before.reshape(-1, 3).T)
        np.testing.assert_allclose(np.cov(after.reshape(-1, 3).T), covariance, rtol=1e-3, atol=1e-2)
    gray = images.mean(-1).ravel(), scrambled.mean(-1).ravel()
    assert abs(np.corrcoef(*(one - one.mean() for one in gray))[0, 1]) < 0.4
    flat = [np.mean(np.abs(np.diff(one.mean(-1), axis=2)) < 1e-3) for one in (images.astype(float), scrambled)]
    assert flat[0] > 0.7 and flat[1] < 0.01  # a rectangle is flat nearly everywhere


def test_noise_has_the_colours_of_photographs_and_no_neighbours(file: Path) -> None:
    photos, noise = make_images(file, "photographs").float(), make_images(file, "noise").float()
    assert photos.shape == noise.shape == (60, 3, 32, 32)
    torch.testing.assert_close(noise.mean((0, 2, 3)), photos.mean((0, 2, 3)), atol=0.02, rtol=0)
    torch.testing.assert_close(noise.std((0, 2, 3)), photos.std((0, 2, 3)), atol=0.02, rtol=0)
    beside = [
        torch.corrcoef(torch.stack([one[..., :-1].ravel(), one[..., 1:].ravel()]))[0, 1] for one in (photos, noise)
    ]
    assert beside[0] > 0.8 and abs(beside[1]) < 0.1


def test_photographs_are_normalised_as_vision_models_want_them(file: Path) -> None:
    expected = (read_images(file)[3].astype(np.float32) / 255 - photographs.MEAN) / photographs.STD
    np.testing.assert_allclose(make_images(file, "photographs")[3].permute(1, 2, 0).numpy(), expected, atol=2e-3)


def test_crops_show_a_part_of_the_image_of_the_right_size() -> None:
    across = torch.linspace(-1, 1, 64)[None].expand(64, 64)  # a pixel says where it is
    places = torch.stack([across, across.T, torch.ones(64, 64)]).expand(200, 3, 64, 64)
    crops = random_crops(places, 48, (0.45, 1.0), torch.Generator().manual_seed(0))
    assert crops.shape == (200, 3, 48, 48)
    torch.testing.assert_close(crops[:, 2], torch.ones(200, 48, 48))
    width, height = ((crops[:, k].amax((1, 2)) - crops[:, k].amin((1, 2))) / 2 for k in (0, 1))
    area = width * height
    assert 0.3 < area.min() < 0.5 and 0.9 < area.max() <= 1.0
    assert 0.7 < (width / height).min() < 0.85 and 1.15 < (width / height).max() < 1.45
    mirrored = (crops[:, 0, 24, 0] > crops[:, 0, 24, -1]).float().mean()
    assert 0.35 < mirrored < 0.65
    assert (crops[:, 1, 0, 24] < crops[:, 1, -1, 24]).all()  # never upside down


def settings(file: Path, folder: Path, **changes: object) -> PhotographArguments:
    values = {"model": "config:micro", "size": 32, "passes": 2, "batch_size": 9, "warmup_steps": 2, **changes}
    return PhotographArguments(str(file), str(folder), **values)  # type: ignore[arg-type]


def test_a_stopped_training_goes_on_as_if_it_had_not_been(file: Path, tmp_path: Path, monkeypatch) -> None:
    pretrain(settings(file, tmp_path / "whole"))
    step = photographs.StopCallback.on_step_end

    def ask(self, args, state, control, **rest):
        self.stop.requested = state.global_step == 5
        return step(self, args, state, control, **rest)

    monkeypatch.setattr(photographs.StopCallback, "on_step_end", ask)
    with pytest.raises(RunInterrupted) as stopped:
        pretrain(settings(file, tmp_path / "halves"))
    assert one_sentence(stopped.value)
    assert not (tmp_path / "halves" / "photographs.json").exists()
    monkeypatch.undo()
    pretrain(settings(file, tmp_path / "halves"))
    whole, halves = (ViTMAEForPreTraining.from_pretrained(tmp_path / name) for name in ("whole", "halves"))
    for (name, one), other in zip(whole.state_dict().items(), halves.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    notes = [json.loads((tmp_path / name / "photographs.json").read_text()) for name in ("whole", "halves")]
    assert notes[0]["steps"] == notes[1]["steps"] == 12
    assert notes[0]["held_out_loss"] == notes[1]["held_out_loss"]
    assert (tmp_path / "whole" / "photographs.png").stat().st_size > 1000


def test_a_finished_training_is_left_alone(file: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "photographs.json").write_text("{}")
    pretrain(settings(file, tmp_path))
    assert capsys.readouterr().out == f"{tmp_path} is finished.\n"


@pytest.mark.parametrize("what", ["missing", "column"])
def test_a_file_that_is_none_is_one_sentence(what: str, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    if what == "column":
        pyarrow.parquet.write_table(pyarrow.table({"label": [1]}), file)
    with pytest.raises(ValueError) as error:
        pretrain(settings(file, tmp_path / "run"))
    assert one_sentence(error.value)
    assert not (tmp_path / "run").exists()
