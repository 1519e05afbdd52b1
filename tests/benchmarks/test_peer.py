"""benchmarks/peer.py: the graph network against plain loops, its inputs, a task it must learn, and the rows it writes."""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import one_sentence, refused

from s2i_hf.data.loading import as_rows
from s2i_hf.processing.augmentation import Augmentation
from s2i_hf.processing.layouts import SkeletonLayout, get_layout
from s2i_hf.training.finetune_arguments import FinetuneArguments
from s2i_hf.training.finetune_data import choose_clips
from s2i_hf.training.interruption import RunInterrupted

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))  # where `python benchmarks/peer.py` finds its package

from peers.arguments import PeerArguments  # noqa: E402
from peers.graph_network import GraphConvolution, GraphNetwork, network_cost, partitions  # noqa: E402
from peers.inputs import PeerInputs, stream_of, stretch  # noqa: E402
from peers.running import peer_run, validate  # noqa: E402
from peers.training import fit_peer, lr_at, train_peer  # noqa: E402

QUICK = {"data": "toy_xsub", "width": 8, "groups": 2, "num_frames": 8, "epochs": 2, "repeat": 4, "warmup_epochs": 0.2, "batch_size": 8,
         "yaw": 0.3, "tilt": 0.0, "device": "cpu"}  # fmt: skip


def make_rows(subjects, per_class=4, people=1, labelled=True):
    """Rows of somebody who lifts the left hand (label 0) or the right one (label 1)."""
    names, rows = get_layout("kinect_v1").joint_names, []
    pose = np.random.default_rng(0).uniform(-0.9, 0.9, (1, people, len(names), 3)) + np.array([0, 0, 3])
    for subject in subjects:
        for label, hand in enumerate(("HandL", "HandR")):
            for take in range(per_class):
                sample_id = f"s{subject}_{label}_{take}"
                noise = np.random.default_rng([subject, label, take]).normal(0, 0.02, (12, people, len(names), 3))
                joints = (pose + noise).astype(np.float32)
                joints[:, :, names.index(hand), 1] += np.linspace(0, 2, 12)[:, None]
                rows.append({"joints": joints, "layout": "kinect_v1", "label": label if labelled else -1,
                             "subject": subject, "camera": 1 + take % 2, "sample_id": sample_id})  # fmt: skip
    return as_rows(rows)


def silent(line):
    pass


# --- network ----------------------------------------------------------------------------------------------------------


def test_partitions_of_a_chain():
    chain = SkeletonLayout(
        "chain", ("hips", "spine", "head", "left_hand"), (-1, 0, 1, 1), mirror_pairs=(), parts={"torso": ("head", "spine", "hips"),
        "left_arm": ("left_hand",)},
    )  # fmt: skip
    own, towards_root, away = partitions(chain)
    assert np.array_equal(own, np.eye(4))
    assert np.array_equal(towards_root, [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
    assert np.array_equal(away, [[0, 1, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("groups", [1, 2])
def test_graph_convolution_equals_loops(groups):
    torch.manual_seed(0)
    graph = torch.from_numpy(partitions("lcrnet_13"))
    layer = GraphConvolution(4, 6, graph, groups).double()
    layer.strength.data.fill_(0.7)
    x = torch.randn(2, 4, 5, graph.shape[1], dtype=torch.float64)
    with torch.no_grad():
        found = layer(x)
        expected = torch.zeros_like(found)
        for n in range(2):
            compared = [layer.compare(x[n, :, :, v].mean(dim=1)).view(2, 3, -1) for v in range(graph.shape[1])]
            for u in range(graph.shape[1]):
                for v in range(graph.shape[1]):
                    difference = torch.tanh(compared[u][0] - compared[v][1])  # (3, R)
                    for k in range(3):
                        for c in range(4):
                            refined = difference[k] @ layer.refine[k, :, c * groups // 4]
                            weight = layer.graph[k, u, v] + 0.7 * refined
                            mixed = layer.mix.weight[:, :, 0, 0].view(6, 3, groups, 4 // groups)
                            into = mixed[:, k, c * groups // 4, c % (4 // groups)]
                            expected[n, :, :, u] += into[:, None] * weight * x[n, c, :, v]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["coco_17", "kinect_v2", "vicon_39"])
def test_other_layouts_make_a_network(name):
    layout = get_layout(name)
    network = GraphNetwork(layout, num_classes=7, num_people=2, width=8).eval()
    joints = torch.randn(3, 3, 9, layout.num_joints, 2)
    with torch.no_grad():
        scores = network(joints)
        assert scores.shape == (3, 7) and scores.isfinite().all()
        torch.testing.assert_close(network(joints[1:2]), scores[1:2])


def test_every_parameter_learns():
    torch.manual_seed(0)
    network = GraphNetwork("kinect_v1", 3, width=8)
    for block in network.blocks:
        block.norm.weight.data.fill_(1.0)  # 1e-6 at first, which hides the graph from the gradient
        block.spatial.strength.data.fill_(0.5)
    network(torch.randn(4, 3, 8, 20, 1)).logsumexp(dim=1).square().sum().backward()
    silent = [
        name for name, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0
    ]
    assert not silent


def test_cost_counts_multiplications_and_additions():
    small, large = (network_cost(GraphNetwork("kinect_v1", 10, width=width), "kinect_v1", 52, 1) for width in (16, 32))
    assert large["parameters"] == sum(p.numel() for p in GraphNetwork("kinect_v1", 10).parameters())
    assert 100e6 < large["flops"] < 130e6 and 3 * small["flops"] < large["flops"] * 1.2


@pytest.mark.parametrize(("width", "groups"), [(30, 4), (32, 3), (0, 1), (8, 0)])
def test_widths_that_do_not_fit(width, groups):
    with refused(ValueError, match="multiple of 4"):
        GraphNetwork("kinect_v1", 3, width=width, groups=groups)


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_stretch_and_streams(make_clip):
    layout = get_layout("kinect_v1")
    joints = make_clip("kinect_v1", frames=6)
    joints[..., 2] = 1.5  # without extent
    box = stretch(joints)
    assert box[..., :2].min(axis=(0, 1, 2)) == pytest.approx(-1) and box[..., :2].max(axis=(0, 1, 2)) == pytest.approx(
        1
    )
    assert (box[..., 2] == 0).all()
    bone, motion = stream_of(box, layout, "bone"), stream_of(box, layout, "motion")
    for joint, parent in enumerate(layout.parents):
        expected = box[:, :, joint] - box[:, :, parent] if parent >= 0 else 0 * box[:, :, joint]
        np.testing.assert_array_equal(bone[:, :, joint], expected)
    np.testing.assert_array_equal(motion[:-1], box[1:] - box[:-1])
    assert (motion[-1] == 0).all()
    np.testing.assert_array_equal(stream_of(box, layout, "bone_motion"), stream_of(bone, layout, "motion"))


def test_test_frames_are_even_and_absent_people_zero(make_clip):
    rows = [{"joints": make_clip("kinect_v1", frames=8, people=number), "layout": "kinect_v1", "sample_id": str(number)}
            for number in (1, 2)]  # fmt: skip
    batch = PeerInputs(get_layout("kinect_v1"), 2, 4)(rows)
    assert batch.shape == (2, 3, 4, 20, 2) and batch.dtype == torch.float32
    assert (batch[0, ..., 1] == 0).all() and (batch[1, ..., 1] != 0).any()
    expected = stretch(rows[0]["joints"])[[0, 2, 4, 7]]
    np.testing.assert_array_equal(batch[0, ..., 0].permute(1, 2, 0).numpy(), expected[:, 0])


def test_draws_depend_on_the_clip_and_the_turn_alone():
    rows = [make_rows([1])[index] for index in range(4)]
    inputs = PeerInputs(get_layout("kinect_v1"), 1, 6, augmentation=Augmentation(yaw=1.0, crop=(0.5, 1.0)), seed=3)
    together = inputs(rows, 5)
    torch.testing.assert_close(inputs(rows[2:3], 5)[0], together[2], rtol=0, atol=0)
    still = [{**row, "joints": row["joints"][:1]} for row in rows]  # of one frame: only the rotation can differ
    assert not torch.equal(inputs(still, 6), inputs(still, 5))
    assert not torch.equal(
        PeerInputs(get_layout("kinect_v1"), 1, 6, augmentation=Augmentation(yaw=1.0))(rows, 5), together
    )


def test_training_frames_come_in_order_from_the_whole_clip():
    joints = np.random.default_rng(0).uniform(-1, 1, (1, 1, 20, 3)) + np.zeros((50, 1, 1, 1))
    joints[:, 0, 0, 0] = np.arange(50) / 5  # the widest joint tells the frame
    row = {"joints": joints.astype(np.float32), "layout": "kinect_v1", "sample_id": "a"}
    inputs = PeerInputs(get_layout("kinect_v1"), 1, 52, augmentation=Augmentation())
    seen = torch.cat([inputs([row], turn)[0, 0, :, 0] for turn in range(20)], dim=1)
    assert (seen.diff(dim=0) >= 0).all() and len(seen.unique()) == 50


# --- training ---------------------------------------------------------------------------------------------------------


def test_bfloat16_learns_nearly_the_same():
    rows, settings = make_rows([1]), {**QUICK, "epochs": 1, "repeat": 2}
    exact, rough = (
        fit_peer(rows, PeerArguments(**settings, precision=precision), silent) for precision in ("no", "bf16")
    )
    assert rough.losses != exact.losses and rough.losses == pytest.approx(exact.losses, rel=0.2)


def test_a_seed_repeats_a_run_and_leaves_the_caller_alone():
    rows, state = make_rows([1, 2], per_class=2), torch.get_rng_state()
    settings = {**QUICK, "epochs": 1, "repeat": 2, "dropout": 0.2}
    first = fit_peer(rows, PeerArguments(**settings), silent).score(rows)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    again, other = (fit_peer(rows, PeerArguments(**settings, seed=seed), silent).score(rows) for seed in (0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_two_people_are_read_where_they_occur():
    settings = PeerArguments(**{**QUICK, "epochs": 1, "repeat": 1, "batch_size": 4})
    for people, expected in ((1, 1), (3, 2)):
        peer = fit_peer(make_rows([1], per_class=2, people=people), settings, silent)
        assert peer.num_people == expected and peer.score(make_rows([2], per_class=1)).shape == (2, 2)


def test_learning_rate_rises_then_falls():
    arguments = PeerArguments(data="x", epochs=10, warmup_epochs=2, lr=0.1)
    rates = [lr_at(step, 20, arguments) for step in range(200)]
    assert max(rates) == rates[40] == pytest.approx(0.1) and 0 < rates[0] < 0.01 and rates[-1] < 1e-4
    assert (np.diff(rates[:41]) > 0).all() and (np.diff(rates[40:]) < 0).all()


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_writes_rows_cost_and_scores(tmp_path):
    from safetensors.numpy import load_file

    long_enough = {**QUICK, "width": 16, "repeat": 10}  # for batch normalisation to know the means of the test
    arguments = PeerArguments(
        **long_enough, output_dir=str(tmp_path / "run"), results_csv=str(tmp_path / "results.csv"), seed=2
    )
    lines: list[str] = []
    summary = peer_run(arguments, {"train": make_rows([1, 2, 3]), "test": make_rows([4])}, lines.append)
    rows = json.loads((tmp_path / "run" / "results.json").read_text())
    assert summary["metrics"]["top1"] == 1.0  # it learned
    np.testing.assert_allclose(np.exp(summary["scores"]).sum(axis=1), 1, rtol=1e-5)
    assert rows == summary["rows"] and [row["metric"] for row in rows] == ["top1", "top5", "mean_class"]
    identity = {
        key: rows[0][key] for key in ("dataset", "protocol", "setting", "encoder", "method", "seed", "train_clips")
    }
    assert identity == {"dataset": "toy", "protocol": "xsub", "setting": "supervised", "encoder": "untrained",
                        "method": "stgcn", "seed": 2, "train_clips": 24}  # fmt: skip
    stored = load_file(tmp_path / "run" / "scores.safetensors")
    assert np.array_equal(stored["scores"], summary["scores"])
    assert rows[0]["value"] == pytest.approx((stored["scores"].argmax(axis=1) == stored["labels"]).mean())
    written = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert written["cost"].keys() >= {"parameters", "flops", "train_clips_per_second", "test_clips_per_second"}
    assert len(written["losses"]) == 2 and written["losses"][1] < written["losses"][0]
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 4 and len(lines) == 3
    assert PeerArguments(**QUICK, stream="bone").run_dir == Path("runs/stgcn_bone_toy_xsub")


def test_validation_reads_no_test_clip_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = make_rows([9])
    monkeypatch.setattr(test, "read", lambda index: pytest.fail("a test clip was read"))
    arguments = PeerArguments(**{**QUICK, "epochs": 1, "repeat": 1}, validate=True)
    lines: list[str] = []
    peer_run(arguments, {"train": make_rows([1, 2, 3, 4], per_class=2), "test": test}, lines.append)
    assert "validation on 4 training clips" in lines[-1] and not list(tmp_path.iterdir())
    lines.clear()
    validate(
        make_rows([1, 2, 3, 4], per_class=2), np.array([3]), arguments, lines.append
    )  # an unseen camera: two folds, each half as large
    assert "validation on 4 training clips" in lines[-1] and len(lines) == 3


def test_the_command_says_what_is_wrong(monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for words, expected in (
        (["--data", "x", "--strem", "bone"], "--stream"),
        (["--data", "x", "--epochs", "0"], "--epochs is 0"),
        (["--data", "x", "--batch_size", "1"], "2 clips"),
        (["--data", "x", "--warmup_epochs", "40"], "--epochs, 30"),
        (["--data", "x", "--dropout", "1"], "below 1"),
        (["--data", "x", "--label_share", "0"], "--label_share is 0"),
        (["--data", "x", "--lr_drop", "2"], "--lr_drop is 2"),
        (["--data", "x", "--network", "ctr"], "ctrgcn"),
        (["--data", "x", "--stream", "bones"], "bone"),
    ):
        monkeypatch.setattr(sys, "argv", ["peer.py", *words])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(BENCHMARKS / "peer.py"), run_name="__main__")
        message = capsys.readouterr().err.strip()
        assert stop.value.code == 2 and expected in message and one_sentence(message)


def test_clips_that_do_not_fit_are_refused_before_training(make_clip):
    good, other = make_rows([1]), as_rows([{"joints": make_clip("kinect_v2"), "layout": "kinect_v2", "label": 0}])
    for train, test, expected in (
        (make_rows([1], labelled=False), good, "no label"),
        (good.select(good.labels.nonzero()[0]), good, "at least two classes"),
        (good.select([]), good, "0 training clips"),
        (good, good.select([]), "no test clips"),
        (good, other, "kinect_v2"),
        (as_rows([*(good[i] for i in range(8)), other[0]]), good, "one joint format"),
    ):
        with refused(ValueError, match=expected):
            train_peer(train, test, PeerArguments(**QUICK), lambda line: pytest.fail("training began"))
    with pytest.raises(ValueError, match="test clips have no label"):
        peer_run(PeerArguments(**QUICK), {"train": good, "test": make_rows([2], labelled=False)})


def test_the_larger_network_comes_with_the_recipe_of_its_authors():
    large = PeerArguments(data="x", network="ctrgcn")
    assert (large.width, large.epochs, large.repeat, large.batch_size) == (64, 65, 5, 16)
    assert (large.weight_decay, large.label_smoothing, large.method_name) == (1e-4, 0.0, "ctrgcn")
    rates = [lr_at(step, 10, large) for step in range(650)]
    assert rates[49] < rates[50] == rates[499] == 0.1 and rates[500] == rates[-1] == pytest.approx(0.01)
    assert PeerArguments(data="x", network="ctrgcn", epochs=7, warmup_epochs=1).width == 64
    small = PeerArguments(data="x")
    assert (small.width, small.epochs, small.batch_size, small.lr_drop) == (32, 30, 32, None)


def test_the_larger_network_learns(tmp_path):
    settings = {**QUICK, "network": "ctrgcn", "width": 8, "repeat": 8, "output_dir": str(tmp_path)}
    found = peer_run(PeerArguments(**settings), {"train": make_rows([1, 2, 3]), "test": make_rows([4])}, silent)
    assert found["metrics"]["top1"] == 1.0 and found["rows"][0]["method"] == "ctrgcn"


@pytest.mark.parametrize("network", ["stgcn", "ctrgcn"])
@pytest.mark.parametrize("when", [4, 7])  # at the end of an epoch, and within one
def test_a_stopped_run_goes_on_as_if_nothing_had_been(tmp_path, network, when, monkeypatch):
    data = {"train": make_rows([1, 2], per_class=2), "test": make_rows([3], per_class=2)}
    settings = {**QUICK, "network": network, "epochs": 3, "dropout": 0.3, "warmup_epochs": 1}
    whole = peer_run(PeerArguments(**settings, output_dir=str(tmp_path / "whole")), data, silent)
    stopped, steps = PeerArguments(**settings, output_dir=str(tmp_path / "stopped")), []

    def rate(*given):
        steps.append(given)
        if len(steps) == when:
            os.kill(os.getpid(), signal.SIGTERM)
        return lr_at(*given)

    with monkeypatch.context() as patched:
        patched.setattr("peers.training.lr_at", rate)
        with pytest.raises(RunInterrupted, match=f"after {when} of 12 steps; repeat the command"):
            peer_run(stopped, data, silent)
    assert len(list((tmp_path / "stopped" / "checkpoints").iterdir())) == 1
    with refused(ValueError, match="--lr is 0.2"):
        peer_run(replace(stopped, lr=0.2), data, silent)
    with refused(ValueError, match="training clips are not those"):
        peer_run(stopped, {**data, "train": make_rows([1, 4], per_class=2)}, silent)
    lines: list[str] = []
    again = peer_run(stopped, data, lines.append)
    assert lines[0] == f"goes on after step {when} of 12"
    np.testing.assert_array_equal(again["scores"], whole["scores"])
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("whole", "stopped")]
    assert summaries[0]["losses"] == summaries[1]["losses"] and len(summaries[0]["losses"]) == 3
    assert not (tmp_path / "stopped" / "checkpoints").exists()  # finished


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path, monkeypatch):
    data = {"train": make_rows([1, 2], per_class=2), "test": make_rows([3], per_class=2)}
    whole = peer_run(PeerArguments(**QUICK, output_dir=str(tmp_path / "whole")), data, silent)
    arguments = PeerArguments(**QUICK, output_dir=str(tmp_path / "killed"))
    monkeypatch.setattr("peers.training.CHECKPOINT_SECONDS", 0.0)  # after every step

    def die(line):
        raise RuntimeError("killed")  # after the row of the epoch, before its checkpoint

    with pytest.raises(RuntimeError, match="killed"):
        peer_run(arguments, data, die)
    lines: list[str] = []
    again = peer_run(arguments, data, lines.append)
    assert lines[0] == "goes on after step 3 of 8"
    np.testing.assert_array_equal(again["scores"], whole["scores"])
    afresh: list[str] = []
    peer_run(replace(arguments, resume="none"), data, afresh.append)
    assert afresh[0].startswith("epoch 1/2")


def test_a_share_of_the_labels_is_that_of_finetune(tmp_path, monkeypatch):
    train, seen = make_rows([1, 2, 3], per_class=5), []
    arguments = PeerArguments(
        **{**QUICK, "epochs": 1, "repeat": 1, "batch_size": 2}, label_share=0.2, label_seed=3, output_dir=str(tmp_path)
    )
    monkeypatch.setattr("peers.running.check_splits", lambda rows, test, labelled: seen.extend(rows.sample_ids))
    found = peer_run(arguments, {"train": train, "test": make_rows([4])}, silent)
    chosen, _ = choose_clips(FinetuneArguments(data="x", model="config:micro", label_share=0.2, label_seed=3), train)
    assert seen == list(chosen.sample_ids) and len(seen) == 6
    assert {row["setting"] for row in found["rows"]} == {"semi_20"} and found["rows"][0]["train_clips"] == 6


@pytest.mark.slow
def test_nw_ucla_in_a_few_epochs(real_data, tmp_path):
    from s2i_hf.data.loading import load_skeletons

    data = load_skeletons("nw_ucla_xview", real_data / "NW-UCLA", cache_dir=tmp_path)
    arguments = PeerArguments(data="nw_ucla_xview", epochs=3, warmup_epochs=0.5, output_dir=str(tmp_path))
    assert peer_run(arguments, data)["metrics"]["top1"] > 0.55
