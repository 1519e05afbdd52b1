"""The counter-based generator against a plain-integer SplitMix64, its independence of the batch, and its spread."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np

from s2i_hf.processing.rng import hash_ids, uniform

WORD = (1 << 64) - 1


def text_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def finalise(x: int) -> int:
    """The output function of SplitMix64 (Steele, Lea and Flood 2014), on Python integers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
    return x ^ (x >> 31)


def test_equals_splitmix64_on_plain_integers() -> None:
    ids = ["S001C001P001R001A001", "a01_s01_e00_v01", "", "ü"]
    drawn = uniform(7, 3, hash_ids(ids), 5, "mask/random")
    for row, sample_id in zip(drawn, ids, strict=True):
        state = finalise(text_hash(sample_id) ^ text_hash("mask/random/7/3"))
        for count, value in enumerate(row, start=1):
            state_now = (state + count * 0x9E3779B97F4A7C15) & WORD
            assert value == (finalise(state_now) >> 11) / 2**53


def test_known_outputs_of_splitmix64() -> None:
    # The first outputs for seed 1234567, as published with the reference implementation.
    state, outputs = 1234567, []
    for _ in range(3):
        state = (state + 0x9E3779B97F4A7C15) & WORD
        outputs.append(finalise(state))
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_depends_on_nothing_but_seed_epoch_id_and_purpose() -> None:
    ids = [f"clip {number}" for number in range(50)]
    together = uniform(1, 2, hash_ids(ids), 8, "rotate")
    for row in (0, 17, 49):
        np.testing.assert_array_equal(uniform(1, 2, hash_ids([ids[row]]), 8, "rotate")[0], together[row])
    np.testing.assert_array_equal(uniform(1, 2, hash_ids(ids[::-1]), 8, "rotate")[::-1], together)
    np.testing.assert_array_equal(uniform(1, 2, hash_ids(ids), 3, "rotate"), together[:, :3])
    for other in (uniform(0, 2, hash_ids(ids), 8, "rotate"), uniform(1, 3, hash_ids(ids), 8, "rotate"),
                  uniform(1, 2, hash_ids(ids), 8, "mask")):  # fmt: skip
        assert not np.isin(other, together).any()
        assert abs(np.corrcoef(other.ravel(), together.ravel())[0, 1]) < 0.2


def test_another_process_draws_the_same() -> None:
    code = (
        "from s2i_hf.processing.rng import hash_ids, uniform; import numpy as np;"
        "np.random.seed(99); print(uniform(5, 6, hash_ids(['x', 'y']), 3, 'crop').tobytes().hex())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "123", "PATH": ""},
    )
    assert found.stdout.strip() == uniform(5, 6, hash_ids(["x", "y"]), 3, "crop").tobytes().hex()


def test_is_uniform_and_independent_across_samples_epochs_and_draws() -> None:
    ids = hash_ids([f"S{number:03d}" for number in range(2000)])
    drawn = np.stack([uniform(0, epoch, ids, 10, "mask") for epoch in range(5)])  # (5, 2000, 10)
    assert drawn.min() >= 0 and drawn.max() < 1 and drawn.dtype == np.float64
    assert len(np.unique(drawn)) == drawn.size
    counts, _ = np.histogram(drawn, bins=20, range=(0, 1))
    expected = drawn.size / 20
    assert ((counts - expected) ** 2 / expected).sum() < 50  # chi-square with 19 degrees of freedom: p < 0.0002
    for shifted in (drawn[1:].ravel(), drawn[:, 1:].ravel(), drawn[:, :, 1:].ravel()):
        assert abs(shifted.mean() - 0.5) < 0.005
    for a, b in ((drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1]), (drawn[:, :, 1:], drawn[:, :, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_ids_hash_apart_and_an_empty_batch_is_empty() -> None:
    assert len(set(hash_ids([str(number) for number in range(10000)]).tolist())) == 10000
    assert hash_ids(["a"]).dtype == np.uint64
    assert uniform(0, 0, hash_ids([]), 4, "mask").shape == (0, 4)
