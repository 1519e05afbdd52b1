"""benchmarks/accuracy_running.py: which stages run, in which order, what a kill leaves, and what the next run makes of it."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import one_sentence
from filelock import FileLock

from s2i_hf.runs.results import read_results_csv, result_row
from s2i_hf.training.interruption import RunInterrupted

sys.path.append(
    str(Path(__file__).parents[2] / "benchmarks")
)  # where `python benchmarks/accuracy.py` finds its modules

from accuracy_plan import MACHINE_FLAGS, Stage
from accuracy_running import Runner, choose, is_done

FAKE = """
import json, pathlib, signal, sys, time
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
folder = pathlib.Path(flags["--output_dir"]); folder.mkdir(parents=True, exist_ok=True)
with (folder.parent / "order.txt").open("a") as file: file.write(" ".join([folder.name, *sys.argv[3:]]) + "\\n")
(folder / "checkpoints").mkdir(exist_ok=True)
if flags.get("--do") == "fail": print("It is broken."); sys.exit(2)
if flags.get("--do") == "wait" and "--resume" not in sys.argv:
    (folder / "run.yaml").write_text("")
    def stop(*_): (folder / "checkpoint").write_text(""); sys.exit(130)
    signal.signal(signal.SIGTERM, stop)
    time.sleep(30)
row = json.loads(pathlib.Path(__file__).with_name("row.json").read_text())
row["setting"] = flags.get("--setting", "linear_probe"); row["value"] = float(flags.get("--value", 0.5)); row["method"] = folder.name
(folder / "results.json").write_text(json.dumps([row])); (folder / "summary.json").write_text("{}")
"""


@pytest.fixture
def fake(tmp_path):
    """Stages whose program is a stand-in that writes what the real one would."""
    facts = result_row(dataset="nw_ucla", protocol="xview", setting="x", encoder="pretrained", method="mae", metric="top1", value=0,
                     train_clips=1, test_clips=1, seed=0, seconds=1, command="test", commit="c", hardware="h")  # fmt: skip
    (tmp_path / "row.json").write_text(json.dumps(facts))
    for name in ("probe.py", "finetune.py"):
        (tmp_path / name).write_text(FAKE)

    def make(name, needs=(), program="probe.py", choices=None, row="linear_probe", **flags):
        flags = {"output_dir": str(tmp_path / "runs" / name), **flags}
        return Stage(
            name, str(tmp_path / program), "probe", "nw_ucla_xview", "mae", 0, flags, needs, 0, row, choices or {}
        )

    return make, tmp_path / "runs"


def silent(line):
    pass


def begun(runs):
    return [line.split() for line in (runs / "order.txt").read_text().splitlines()]


def test_stages_run_in_order_once_and_their_rows_are_collected(fake, tmp_path):
    make, runs = fake
    plan = [make("a"), make("b", ("a",), value=0.25), make("c", ("b",)), make("d", row="knn")]
    table = tmp_path / "results.csv"
    outcome = Runner(plan, runs, jobs=2, pin=True, results_csv=str(table), report=silent).run()
    assert set(outcome.done) == {"a", "b", "c"} and set(outcome.failed) == {"d"}  # d writes no row that is looked for
    order = [words[0] for words in begun(runs)]
    assert [name for name in order if name != "d"] == ["a", "b", "c"]
    assert {row["method"]: row["value"] for row in read_results_csv(table)} == {"a": 0.5, "b": 0.25, "c": 0.5}
    table.unlink()
    again = Runner(plan[:3], runs, report=silent, results_csv=str(table)).run()
    assert len(again.done) == 3 and len(begun(runs)) == 4 and len(read_results_csv(table)) == 3


def test_a_stage_that_fails_stops_what_needs_it_alone(fake):
    make, runs = fake
    plan = [make("a", do="fail"), make("b", ("a",)), make("c", ("b",)), make("d")]
    outcome = Runner(plan, runs, report=silent).run()
    assert outcome.done == ["d"] and set(outcome.failed) == {"a", "b", "c"} and outcome.failed["a"] == "It is broken."
    assert Runner([make("d"), make("e")], runs, report=silent).run().done == ["d", "e"]


def test_other_settings_are_refused(fake):
    make, runs = fake
    Runner([make("a", epochs=3)], runs, report=silent).run()
    with pytest.raises(ValueError, match="epochs 3, and this plan has 24") as caught:
        Runner([make("a", epochs=24)], runs, report=silent).run()
    assert one_sentence(str(caught.value).replace(str(runs), "runs"))
    assert "data_dir" in MACHINE_FLAGS
    Runner([make("a", epochs=3, data_dir="elsewhere")], runs, report=silent).run()


def test_an_interruption_leaves_checkpoints_and_the_next_run_resumes(fake):
    make, runs = fake
    plan = [make("a"), make("slow", program="finetune.py", do="wait"), make("late", ("slow",))]

    def interrupt():
        while not (runs / "slow" / "run.yaml").is_file():
            time.sleep(0.02)
        time.sleep(0.3)  # the handler of the stand-in
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(RunInterrupted, match="repeat the command"):
        Runner(plan, runs, jobs=2, report=silent).run()
    thread.join()
    assert (runs / "slow" / "checkpoint").is_file() and not is_done(plan[1], runs)
    assert (runs / "slow" / "checkpoints").is_dir() and not (
        runs / "a" / "checkpoints"
    ).exists()  # no use when finished
    assert set(Runner(plan, runs, report=silent).run().done) == {"a", "slow", "late"}
    resumed = [words for words in begun(runs) if words[0] == "slow"]
    assert ["--resume" in words for words in resumed] == [False, True]
    assert len([words for words in begun(runs) if words[0] == "a"]) == 1


def test_two_benchmarks_do_not_share_a_folder(fake):
    make, runs = fake
    runs.mkdir(exist_ok=True)
    with FileLock(runs / ".lock"), pytest.raises(ValueError, match="works in") as caught:
        Runner([make("a")], runs, report=silent).run()
    assert one_sentence(str(caught.value).replace(str(runs), "runs"))


def test_the_best_on_validation_clips_is_taken(fake):
    make, runs = fake
    tried = [make(f"t{place}", program="finetune.py", row="", setting="tune_10", value=value)
             for place, value in enumerate((0.2, 0.4, 0.4))]  # fmt: skip
    choices = {f"lr {place}": ({"base_lr": place}, (f"t{place}",)) for place in range(3)}
    last = make("last", ("t0", "t1", "t2"), "finetune.py", choices)
    Runner([*tried, last], runs, jobs=2, report=silent).run()
    assert choose(last, runs)[:2] == ("lr 1", {"base_lr": 1})  # the first of equals
    assert next(words for words in begun(runs) if words[0] == "last")[-2:] == ["--base_lr", "1"]
    assert json.loads((runs / "chosen" / "last.json").read_text())["validation_top1"] == {
        "lr 0": 0.2,
        "lr 1": 0.4,
        "lr 2": 0.4,
    }
