from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import torch
from command_line import run
from conftest import one_sentence, refused
from finetune_clips import CLASSES
from own_files import leave_frames_out, npy
from skeleton_files import person, skeleton_text, write_nw_ucla

from s2i_hf.cli import main
from s2i_hf.evaluation.scoring import predict_scores
from s2i_hf.inference.prediction import predict_clips
from s2i_hf.inference.windows import frames_in, sliding_windows
from s2i_hf.models.classification import build_classifier
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.readers import ReadError


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(0)
    model, _ = build_classifier("config:micro", CLASSES, image_size=32)
    with torch.no_grad():
        model.classifier.weight.mul_(20)  # answers that differ
    model.save_pretrained(folder)
    processor = SkeletonProcessor(layout="kinect_v2", size=32)
    processor.save_pretrained(folder)
    return folder, model.eval(), processor


def sequence(joints, name="clip", layout="kinect_v2"):
    return SkeletonSequence(joints, layout, sample_id=name)


def predict(classifier, clips, **options):
    return list(predict_clips(classifier[1], classifier[2], clips, **options))


# -- windows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((10, 4, 2), [(0, 4), (2, 6), (4, 8), (6, 10)]),
        ((11, 4, 4), [(0, 4), (4, 8), (7, 11)]),  # the last one ends with the recording
        ((4, 4, 1), [(0, 4)]),
        ((3, 4, 2), [(0, 3)]),
        ((5, 1, 1), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
    ],
)
def test_windows(arguments, expected):
    assert sliding_windows(*arguments) == expected


def test_every_frame_is_in_a_window():
    for frames in range(1, 40):
        for window in range(1, 12):
            for stride in range(1, window + 1):
                found = sliding_windows(frames, window, stride)
                assert {frame for start, stop in found for frame in range(start, stop)} == set(range(frames))
                assert len(set(found)) == len(found) and all(
                    stop - start == min(window, frames) for start, stop in found
                )


def test_windows_that_make_no_sense():
    for arguments in ((10, 0, 1), (10, 4, 0), (10, 4, 5)):
        with refused(ValueError):
            sliding_windows(*arguments)


def test_lengths():
    assert frames_in("64") == frames_in(64) == 64 and frames_in(" 2s", 30) == 60
    assert frames_in("0.5 s", 15) == 8 and frames_in("0.001s", 30) == 1
    for text in ("", "s", "-3", "0", "0s", "1.5", "nans", "infs", "two", "2m"):
        with pytest.raises(ValueError, match="no length of time"):
            frames_in(text)
    with pytest.raises(ValueError, match="Pass --fps"):
        frames_in("2s")


# -- results -----------------------------------------------------------------------------------------------------------


def test_the_probabilities_are_those_of_the_test(classifier, make_clip):
    clips = [
        sequence(make_clip(frames=frames, people=people), f"{frames}") for frames, people in ((9, 1), (14, 2), (5, 1))
    ]
    results = predict(classifier, [("f", clip) for clip in clips], top_k=4, batch_size=2)
    for clip, (file, (one,)) in zip(clips, results, strict=True):
        expected = np.exp(
            predict_scores(classifier[1], [{"joints": clip.joints, "layout": "kinect_v2"}], classifier[2])[0]
        )
        assert file == "f" and one.sample_id == clip.sample_id and one.stop == one.num_frames == len(clip.joints)
        found = dict(one.classes)
        assert [found[name] for name in CLASSES] == pytest.approx(expected.tolist(), abs=1e-6)
        assert sum(found.values()) == pytest.approx(1, abs=1e-5)
        scores = [score for _, score in one.classes]
        assert scores == sorted(scores, reverse=True)
    assert len({one.classes for _, (one,) in results}) == 3


def test_top_k(classifier, make_clip):
    clip = sequence(make_clip(frames=6))
    ((_, (two,)),) = predict(classifier, [("f", clip)], top_k=2)
    ((_, (many,)),) = predict(classifier, [("f", clip)], top_k=50)
    assert len(two.classes) == 2 and len(many.classes) == 4 and many.classes[:2] == two.classes


def test_a_window_is_a_clip_of_its_own(classifier, make_clip):
    joints = make_clip(frames=25)
    ((_, windows),) = predict(classifier, [("f", sequence(joints))], window=10, stride=5, fps=10, batch_size=3)
    assert [(one.start, one.stop) for one in windows] == [(0, 10), (5, 15), (10, 20), (15, 25)]
    assert [(one.start_seconds, one.stop_seconds) for one in windows] == [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5)]
    for one in windows:
        ((_, (alone,)),) = predict(classifier, [("f", sequence(joints[one.start : one.stop]))])
        assert [score for _, score in alone.classes] == pytest.approx([score for _, score in one.classes], abs=1e-6)
    assert len({one.classes for one in windows}) == 4


def test_half_a_window_is_the_stride_by_default(classifier, make_clip):
    ((_, windows),) = predict(classifier, [("f", sequence(make_clip(frames=20)))], window="1s", fps=8)
    assert [one.start for one in windows] == [0, 4, 8, 12]


def test_each_person_alone_and_only_while_there(classifier, make_clip):
    joints = make_clip(frames=20, people=2)
    joints[10:, 1] = np.nan
    clip = SkeletonSequence(joints, "kinect_v2", body_ids=np.array([7, 72057594037927936]))
    ((_, results),) = predict(classifier, [("f", clip)], window=10, stride=10, per_person=True)
    assert [(one.start, one.person, one.body_id, one.people) for one in results] == [
        (0, 0, 7, 2), (0, 1, 72057594037927936, 2), (10, 0, 7, 1),
    ]  # fmt: skip
    ((_, (alone,)),) = predict(classifier, [("f", sequence(joints[:10, 1:]))])
    assert [score for _, score in alone.classes] == pytest.approx([score for _, score in results[1].classes], abs=1e-6)


def test_nobody_there_is_no_class(classifier, make_clip):
    joints = make_clip(frames=20)
    joints[:10] = np.nan
    ((_, (first, second)),) = predict(classifier, [("f", sequence(joints))], window=10, stride=10)
    assert first.classes == () and first.people == 0 and len(second.classes) == 4
    ((_, (nobody,)),) = predict(classifier, [("f", sequence(np.zeros((5, 1, 25, 3), np.float32)))])
    assert nobody.classes == ()


def test_a_broken_clip_harms_no_other(classifier, make_clip):
    good = sequence(make_clip(frames=6), "good")
    metres = sequence(make_clip(frames=6) * 1000, "mm")
    found = predict(classifier, [("a", good), ("b", metres), ("c", ReadError("c: is broken.")), ("d", good)])
    assert [file for file, _ in found] == ["a", "b", "c", "d"]
    assert [isinstance(result, ReadError) for _, result in found] == [False, True, True, False]
    assert "millimetres" in str(found[1][1]) and found[0][1][0].classes == found[3][1][0].classes


def test_results_come_while_recordings_are_read(classifier, make_clip):
    read = []

    def clips():
        for index in range(6):
            read.append(index)
            yield "f", sequence(make_clip(frames=6, seed=index), str(index))

    results = predict_clips(classifier[1], classifier[2], clips(), batch_size=2)
    assert next(results)[1][0].sample_id == "0" and read == [0, 1]
    assert [result[0].sample_id for _, result in results] == ["1", "2", "3", "4", "5"]


def test_settings_that_make_no_sense(classifier, make_clip):
    clip = [("f", sequence(make_clip(frames=6)))]
    for options, words in (
        ({"top_k": 0}, "top_k is 0"), ({"fps": -1.0}, "fps is -1"), ({"stride": 3}, "pass --window too"),
        ({"window": "2s"}, "Pass --fps"), ({"window": 2, "stride": 4}, "left out"),
    ):  # fmt: skip
        with refused(ValueError, match=words):
            predict(classifier, clip, **options)


def test_damaged_weights_are_said(classifier, make_clip):
    model, _ = build_classifier("config:micro", CLASSES, image_size=32)
    with torch.no_grad():
        model.classifier.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        list(predict_clips(model, classifier[2], [("f", sequence(make_clip(frames=6)))]))


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def recordings(tmp_path, make_clip):
    """Two NTU files, one of them by another name, and a broken one."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    frames = [[(1, person(frame))] for frame in range(8)]
    for name in ("S001C001P001R001A010", "S001C001P001R002A010"):
        (folder / f"{name}.skeleton").write_bytes(skeleton_text(frames))
    (folder / "my_clip.skeleton").write_bytes(skeleton_text(frames[:5]))
    (folder / "S001C001P001R001A011.skeleton").write_bytes(b"12\n")
    return folder


def test_one_recording(classifier, recordings, capsys):
    code, out, err = run(capsys, "predict", classifier[0], recordings / "S001C001P001R001A010.skeleton", "--top-k", 2)
    assert code == 0 and err == "" and len(out.splitlines()) == 3
    assert out.splitlines()[0] == "S001C001P001R001A010: 8 frames (0.3 s), layout kinect_v2"
    assert out.splitlines()[1].endswith(tuple(CLASSES)) and " %  " in out.splitlines()[1]


def test_a_folder(classifier, recordings, capsys):
    code, out, err = run(capsys, "predict", classifier[0], recordings, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(lines) == 4 and [line["file"] for line in lines] == sorted(line["file"] for line in lines)
    assert [line["file"] for line in lines if "error" in line] == ["S001C001P001R001A011.skeleton"]
    assert "3 clips classified, 1 broken" in err and "S001C001P001R001A011" in err
    assert {line["num_frames"] for line in lines if "error" not in line} == {8, 5}
    code, out, err = run(capsys, "predict", classifier[0], recordings, "--strict")
    assert code == 2 and "1 broken" in err.splitlines()[-1] and "my_clip" in out


def test_a_single_broken_recording_is_named_with_its_fault(classifier, recordings, capsys):
    code, out, err = run(capsys, "predict", classifier[0], recordings / "S001C001P001R001A011.skeleton")
    assert code == 2 and out == "" and "broken: S001C001P001R001A011.skeleton: " in err and "frame" in err


def test_all_clips_of_a_file_that_holds_many(classifier, tmp_path, make_clip, capsys):
    x = np.zeros((5, 12, 150), np.float32)
    x[..., :75] = make_clip(frames=12).reshape(12, 75)
    np.savez(tmp_path / "many.npz", x_train=x[:3], y_train=np.eye(3), x_test=x[:2], y_test=np.eye(3)[:2])
    code, out, err = run(capsys, "predict", classifier[0], tmp_path / "many.npz", "--json")
    assert code == 0 and len({json.loads(line)["sample_id"] for line in out.splitlines()}) == 5
    assert err == "5 clips classified, 0 broken.\n"


def test_parts_that_are_left_out_are_said_on_stderr(classifier, tmp_path, make_clip, capsys, monkeypatch):
    leave_frames_out(monkeypatch)
    np.save(tmp_path / "clip.npy", make_clip(frames=6))
    code, out, err = run(capsys, "predict", classifier[0], tmp_path / "clip.npy", "--json")
    assert code == 0 and len(out.splitlines()) == 1 and "error" not in out
    assert err == "left out: clip.npy: frame 3 of 5 cannot be read; it is left out.\n"
    code, _, err = run(capsys, "predict", classifier[0], tmp_path, "--strict")
    assert code == 2 and "0 broken and 1 left out" in err.splitlines()[-1]


def test_files_that_are_not_read_are_counted(classifier, tmp_path, make_clip, capsys):
    (tmp_path / "a").mkdir()
    for name in ("a/1.NPY", "2.npy"):
        (tmp_path / name).write_bytes(npy(make_clip(frames=6)))
    (tmp_path / "a" / "film.MP4").write_text("x")
    (tmp_path / "a" / "far.npy").write_text("version https://git-lfs.github.com/spec/v1\n")
    code, out, err = run(capsys, "predict", classifier[0], tmp_path, "--json")
    assert code == 0 and [json.loads(line)["file"] for line in out.splitlines()] == ["2.npy", "a/1.NPY", "a/far.npy"]
    assert (
        "left out, no format of clips (.mp4): 1 (a/film.MP4)" in err
        and "broken: a/far.npy: a pointer of Git LFS" in err
    )
    assert run(capsys, "predict", classifier[0], tmp_path / "a" / "1.NPY")[0] == 0


def test_labels_do_not_decide_what_is_read(classifier, tmp_path, make_clip, capsys):
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", make_clip(frames=6))
    (tmp_path / "labels.csv").write_text("id,label\na,jump\n")
    code, out, _ = run(capsys, "predict", classifier[0], tmp_path, "--json")
    assert code == 0 and [json.loads(line)["file"] for line in out.splitlines()] == ["a.npy", "b.npy"]


def test_an_archive(classifier, recordings, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in recordings.iterdir():
            archive.write(file, f"nturgb+d_skeletons/{file.name}")
    code, out, err = run(capsys, "predict", classifier[0], tmp_path / "all.zip", "--json")
    assert code == 0 and len(out.splitlines()) == 4 and "3 clips classified, 1 broken" in err


def test_windows_of_an_array(classifier, tmp_path, make_clip, capsys):
    np.save(tmp_path / "long.npy", make_clip(frames=30)[:, 0])
    code, out, err = run(
        capsys, "predict", classifier[0], tmp_path / "long.npy", "--window", "1s", "--fps", 10, "--top-k", 1
    )
    lines = out.splitlines()
    assert code == 0 and err == "" and len(lines) == 6 and lines[1].split()[:4] == ["0.00", "-", "1.00", "s"]
    code, out, err = run(capsys, "predict", classifier[0], tmp_path / "long.npy", "--window", "1s")
    assert code == 2 and "--fps" in err and one_sentence(err.strip().split(": ", 1)[1])


def test_a_folder_of_arrays_and_another_layout(classifier, tmp_path, make_clip, capsys):
    (tmp_path / "a").mkdir()
    for name in ("b", "a/c"):
        np.save(tmp_path / f"{name}.npy", make_clip("kinect_v1", frames=12))
    np.save(tmp_path / "d.npy", np.zeros((3, 7)))
    code, out, err = run(capsys, "predict", classifier[0], tmp_path, "--layout", "kinect_v1", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and sorted(line["file"] for line in lines) == ["a/c.npy", "b.npy", "d.npy"]
    assert "2 clips classified, 1 broken" in err and "trained on layout kinect_v2" in err
    code, out, err = run(capsys, "predict", classifier[0], tmp_path)  # 20 joints are not the model's 25
    assert code == 2 and "nothing in" in err.splitlines()[-1]


def test_a_converted_folder(classifier, tmp_path, capsys):
    write_nw_ucla(tmp_path / "raw", ["a01_s01_e00_v01", "a02_s01_e00_v03"])
    assert (
        main(["convert", "nw_ucla_xview", "--data-dir", str(tmp_path / "raw"), "--output", str(tmp_path / "out")]) == 0
    )
    capsys.readouterr()
    code, out, _ = run(capsys, "predict", classifier[0], tmp_path / "out", "--json")
    assert code == 0 and [json.loads(line)["sample_id"] for line in out.splitlines()] == [
        "a01_s01_e00_v01",
        "a02_s01_e00_v03",
    ]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["MODEL", "/nowhere.npy"], "is not there"),
        (["/nowhere", "CLIP"], "does not exist"),
        (["MODEL", "CLIP", "--window", "x"], "no length of time"),
        (["MODEL", "CLIP", "--stride", "2"], "pass --window too"),
        (["MODEL", "CLIP", "--layout", "kinect_v3"], "kinect_v"),
        (["MODEL", "CLIP", "--protocol", "ntu60_xsup"], "Did you mean 'ntu60_xsub'"),
        (["MODEL", "EMPTY"], "No clips in"),
        (["MODEL", "CLIP", "--top-k", "0"], "top_k is 0"),
    ],
)
def test_bad_input_is_one_sentence(classifier, tmp_path, make_clip, capsys, argv, words):
    np.save(tmp_path / "clip.npy", make_clip(frames=6))
    (tmp_path / "empty").mkdir()
    places = {"MODEL": classifier[0], "CLIP": tmp_path / "clip.npy", "EMPTY": tmp_path / "empty"}
    code, out, err = run(capsys, "predict", *[places.get(word, word) for word in argv])
    assert code == 2 and out == "" and words in err and err.count("\n") == 1


def test_real_recordings(classifier, real_data, capsys):
    folder = real_data / "NW-UCLA"
    files = sorted(folder.rglob("a01_s01_e00_v01.json"))
    if not files:
        pytest.skip("no NW-UCLA recordings in the folder of real data")
    code, out, _ = run(capsys, "predict", classifier[0], files[0], "--window", 16, "--json")
    assert code == 0 and len(out.splitlines()) > 1 and json.loads(out.splitlines()[0])["layout"] == "kinect_v1"
