"""The page is one file that asks for nothing, runs nothing, and shows what was counted; names of files stay text."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
from bodies import clip, pose, walker
from hypothesis import given, settings, strategies as st

from s2i_hf.inspection.charts import columns, histogram, numbers, rows, strip
from s2i_hf.inspection.inspector import inspect
from s2i_hf.inspection.page import render_page, write_page
from s2i_hf.inspection.report import Detection, Inspection
from s2i_hf.inspection.statistics import ClipStatistics, DrawnClip
from s2i_hf.processing.layouts import LAYOUTS, PARTS
from s2i_hf.processing.skeleton_sequence import SkeletonSequence

NASTY = '<script>alert("1")</script>&\x1b[0m\udcff'


def parse(page):
    """The page as a tree: it is XHTML, so that a browser has nothing to guess."""
    return ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


def report(clips, path="data", **fields):
    stats = ClipStatistics()
    for split, one in clips:
        stats.add(one, split)
    made = Inspection(Detection("dataset", "people", path), stats, len(clips), len(clips), **fields)
    return made


@pytest.fixture
def nasty(tmp_path):
    clips = [("train", clip(f"{NASTY}{n}", label=n % 2, subject=n)) for n in range(8)]
    found = report(
        clips, tmp_path / NASTY.replace("/", ""), class_names=(NASTY, "wave"), warnings=[NASTY], broken=[NASTY] * 26
    )
    found.detection.notes, found.detection.commands = [NASTY], [NASTY]
    return found


def test_names_stay_text(nasty):
    page = render_page(nasty)
    tree = parse(page)
    tags = {element.tag for element in tree.iter()}
    assert "script" not in tags and "<script" not in page and "\x1b" not in page
    assert '<script>alert("1")</script>&?[0m?' in "".join(tree.itertext())
    page.encode()  # no half of a surrogate pair


def test_nothing_is_loaded_or_run(nasty):
    page = render_page(nasty)
    for element in parse(page).iter():
        assert element.tag not in ("script", "link", "img", "iframe", "image", "use", "object", "form")
        assert not [name for name in element.attrib if name.startswith("on") or name in ("src", "href")]
    assert "url(" not in page and "@import" not in page and "default-src 'none'" in page


def test_it_says_what_the_text_says(nasty):
    text = "".join(parse(render_page(nasty)).itertext())
    for name, value in nasty.facts():
        assert name in text and "".join(mark if mark.isprintable() else "?" for mark in value) in text
    assert "... and 6 more." in text and "Broken recordings" in text
    for part in PARTS:
        assert part.replace("_", " ") in text


def test_light_and_dark_have_the_same_colours(nasty):
    style = parse(render_page(nasty)).find("head/style").text
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    names = [set(re.findall(r"--([\w-]+):", block)) for block in (light, dark)]
    assert names[0] == names[1] and set(re.findall(r"var\(--([\w-]+)\)", style)) <= names[0]


def test_charts_only_of_what_is_known(nasty):
    tree = parse(render_page(nasty))
    titles = [caption.text.strip() for caption in tree.iter("figcaption")]
    assert (
        {"Frames", "Subjects", "Classes", "Bone variation"} <= set(titles)
        and "Views" not in titles
        and "People" not in titles
    )
    assert len(titles) == 4 + 6  # and six clips


def test_the_page_of_a_folder_that_nobody_knows(tmp_path):
    (tmp_path / "a.txt").write_text("words\n")
    tree = parse(render_page(inspect(tmp_path)))
    assert "No format that s2i-hf knows" in "".join(tree.itertext()) and not list(tree.iter("svg"))


def test_written_whole_or_not(tmp_path, nasty):
    path = write_page(nasty, tmp_path / "deeper" / "page.html")
    assert path.read_text(encoding="utf-8") == render_page(nasty) and [*path.parent.iterdir()] == [path]
    with pytest.raises(ValueError, match="is a folder; name the HTML file"):
        write_page(nasty, tmp_path)


# -- charts ------------------------------------------------------------------------------------------------------------


def bars(chart):
    """(title, height or width) of each bar of a chart."""
    found = []
    for element in ElementTree.fromstring(chart).iter("rect"):
        found.append((element.find("title").text, float(element.get("width")), float(element.get("height"))))
    return found


def test_heights_are_in_proportion():
    (a, _, tall), (b, _, low) = bars(columns([("a", 40), ("none", 0), ("b", 10)], "label", "axis"))
    assert (a, b) == ("a: 40", "b: 10") and tall == pytest.approx(4 * low, abs=0.2)
    (_, wide, _), (_, narrow, _) = bars(rows([("a", 40), ("b", 10)], "label"))
    assert wide == pytest.approx(4 * narrow, abs=0.5)


@settings(deadline=None)
@given(st.dictionaries(st.integers(1, 5000), st.integers(1, 99), min_size=1, max_size=60))
def test_histograms_lose_no_clip(counts):
    chart = histogram(Counter(counts), "frames", "frames")
    found = bars(chart)
    assert (
        sum(int(title.rsplit(": ")[1].replace(",", "")) for title, *_ in found) == sum(counts.values())
        and len(found) <= 31
    )


def test_many_numbers_become_a_histogram():
    assert len(bars(numbers(Counter({n: 1 for n in range(40)}), "l", "a"))) == 40
    assert len(bars(numbers(Counter({n: 1 for n in range(106)}), "l", "a"))) <= 30
    assert bars(numbers(Counter({-1: 3, 4: 1}), "l", "a"))[0][0] == "?: 3"


def drawn(joints, layout="kinect_v1"):
    frames = tuple(range(len(joints)))
    return DrawnClip("x", 0, LAYOUTS[layout], joints, frames, len(joints))


def lines(svg):
    keys = ("x1", "y1", "x2", "y2")
    return [
        (element.get("class"), *(float(element.get(key)) for key in keys))
        for element in ElementTree.fromstring(svg).iter("line")
    ]


def test_a_figure_has_every_bone_in_the_colour_of_its_part():
    joints = pose().astype(np.float32)[None, None]
    found = lines(strip(drawn(joints)))
    assert len(found) == 2 * 19  # front and side
    classes = Counter(kind for kind, *_ in found)
    assert classes == {"bone part0": 6, **{f"bone part{part}": 8 for part in range(1, 5)}}


def test_up_is_up_and_scale_is_the_same_in_both_views():
    joints = (pose().astype(np.float32)[None, None] + np.float32([0, 0, 3])) * 1000
    layout = LAYOUTS["kinect_v1"]
    bones = [joint for joint, parent in enumerate(layout.parents) if parent >= 0]
    front = lines(strip(drawn(joints)))[:19]
    thigh = front[bones.index(layout.joint_names.index("KneeL"))]
    arm = front[bones.index(layout.joint_names.index("ElbowL"))]
    assert thigh[4] > thigh[2]  # the knee is below the hip, and SVG counts downwards
    scale = (thigh[4] - thigh[2]) / 450
    assert (arm[4] - arm[2]) / 250 == pytest.approx(scale, rel=0.02)
    assert (
        arm[1] < front[bones.index(layout.joint_names.index("ElbowR"))][1]
    )  # x to the right: Kinect's left is at the left


def test_missing_joints_are_not_drawn():
    joints = walker(frames=2)
    joints[0, 0, 3] = np.nan
    joints[1, 0, 3] = 0
    assert len(lines(strip(drawn(joints)))) == 2 * 2 * 18
    for nothing in (np.zeros((2, 1, 20, 3), np.float32), np.full((2, 1, 20, 3), np.nan, np.float32)):
        assert "nobody" in strip(drawn(nothing))
    flat = pose()[None, None].astype(np.float32) * np.float32([1, 1, 0])
    assert len(lines(strip(drawn(flat)))) == 19  # no side view of an image


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 99), bad=st.sampled_from([np.nan, np.inf, 0.0, 1e30]), share=st.floats(0, 1))
def test_any_clip_is_drawn_within_its_picture(seed, bad, share):
    rng = np.random.default_rng(seed)
    joints = rng.normal(size=(3, 2, 25, 3)).astype(np.float32)
    joints[rng.random(joints.shape[:3]) < share] = bad
    svg = ElementTree.fromstring(strip(drawn(joints, "kinect_v2")))
    width, height = (float(value) for value in svg.get("viewBox").split()[2:])
    assert 0 < width < 3000 and 0 < height < 1000
    for _, x1, y1, x2, y2 in lines(ElementTree.tostring(svg)):
        assert -1 <= min(x1, x2) <= max(x1, x2) <= width + 1 and -1 <= min(y1, y2) <= max(y1, y2) <= height + 1


def test_clips_of_several_formats():
    clips = [
        ("", SkeletonSequence(walker(layout), LAYOUTS[layout], sample_id=layout))
        for layout in ("kinect_v1", "kinect_v2")
    ]
    text = "".join(parse(render_page(report(clips))).itertext())
    assert "12 frames, kinect_v1" in text and "12 frames, kinect_v2" in text
