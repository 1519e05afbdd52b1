"""The actions of the synthetic people: functions that turn joints over time, with a style drawn anew for every performance.

What makes an action is how it moves. Which pose it starts from, which side acts, how far, how fast, how often and when are
drawn, so that few frames give it away by themselves. The shoulder turns by plane, elevation and axial rotation as in Wu et
al. (J. Biomechanics 38, 2005). Angles are in degrees, times in seconds; a person looks along z, with x to the left and y up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..processing.layouts import LAYOUTS

LAYOUT = LAYOUTS["kinect_v2"]
JOINT = {name: index for index, name in enumerate(LAYOUT.joint_names)}
YAW, PITCH, ROLL, TWIST = range(4)  # a joint turns by Ry(yaw) Rx(pitch) Rz(roll) Ry(twist)

Curve = np.ndarray | float  # (T,) or constant


def ease(progress: np.ndarray, at: Sequence[float] | np.ndarray, to: Sequence[float]) -> np.ndarray:
    """Keyframes: the values `to` at the moments `at`, passing smoothly (cubic, at rest on every key) from one to the next."""
    position = np.interp(progress, at, np.arange(len(at)))
    key = np.minimum(position.astype(int), len(at) - 2)
    blend = position - key
    blend = blend * blend * (3 - 2 * blend)
    values = np.asarray(to, dtype=float)
    return values[key] * (1 - blend) + values[key + 1] * blend


def there_and_back(progress: np.ndarray, leave: float, there: float, go: float, back: float) -> np.ndarray:
    """0 until `leave`, 1 from `there` to `go`, 0 again from `back`."""
    return ease(progress, (leave, there, go, back), (0, 1, 1, 0))


@dataclass
class Mover:
    """One person's movement over T frames, filled in by an action function.

    Args:
        rng: Draws the style of this performance.
        seconds: (T,) time of each frame.
        begin, finish: When the action starts and ends, in seconds.
        tempo: Speed factor, 1 is usual.
        phase: Where a repeated movement begins, in cycles.
        side: "L" or "R", the hand or foot that acts.
    """

    rng: np.random.Generator
    seconds: np.ndarray
    begin: float
    finish: float
    tempo: float
    phase: float
    side: str
    angles: np.ndarray = field(init=False)  # (T, 25, 4): YAW, PITCH, ROLL, TWIST of every joint
    lift: np.ndarray = field(init=False)  # (T,) metres above the floor
    travel: np.ndarray = field(init=False)  # (T,) metres forward, on top of where the feet carry

    def __post_init__(self) -> None:
        self.angles = np.zeros((len(self.seconds), LAYOUT.num_joints, 4))
        self.lift, self.travel = np.zeros_like(self.seconds), np.zeros_like(self.seconds)

    @property
    def other(self) -> str:
        """The side that does not act."""
        return "R" if self.side == "L" else "L"

    def draw(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def turn(self, joint: str, axis: int, degrees: Curve) -> None:
        """Add to the angle of a joint."""
        self.angles[:, JOINT[joint], axis] += degrees

    def blend(self, on: Curve, joint: str, axis: int, degrees: Curve) -> None:
        """Bring an angle from where posture left it (on = 0) to `degrees` (on = 1)."""
        angle = self.angles[:, JOINT[joint], axis]
        angle += on * (degrees - angle)

    def arm(self, side: str, on: Curve, up: Curve, out: Curve = 0, elbow: Curve = 0, twist: Curve = 0) -> None:
        """Raise the upper arm by `up` in the plane `out` to the side of straight ahead, flex the elbow, turn the arm outwards."""
        sign = 1 if side == "L" else -1
        for axis, degrees in ((YAW, sign * out), (PITCH, -1 * up), (ROLL, 0.0), (TWIST, sign * twist)):
            self.blend(on, "Shoulder" + side, axis, degrees)
        self.blend(on, "Elbow" + side, PITCH, -1 * elbow)

    def leg(self, side: str, on: Curve, hip: Curve, knee: Curve, out: Curve = 3) -> None:
        """Swing the thigh forward by `hip` and aside by `out`, flex the knee; the sole stays level."""
        self.blend(on, "Hip" + side, PITCH, -1 * hip)
        self.blend(on, "Hip" + side, ROLL, out if side == "L" else -1 * out)
        self.blend(on, "Knee" + side, PITCH, knee)

    def bend(self, degrees: Curve) -> None:
        """Bend the trunk forward, half of it in the hips, with the legs left where they are."""
        self.turn("SpineBase", PITCH, 0.55 * degrees)
        self.turn("SpineMid", PITCH, 0.45 * degrees)
        for side in "LR":
            self.turn("Hip" + side, PITCH, -0.55 * degrees)

    def shoulder_forward(self, side: str, degrees: Curve) -> None:
        self.turn("SpineMid", YAW, -1 * degrees if side == "L" else degrees)

    def envelope(self, ramp: float = 0.4) -> np.ndarray:
        """(T,) 0 before the action, 1 during it, with ramps of `ramp` seconds."""
        ramp = min(ramp / self.tempo, (self.finish - self.begin) / 3)
        return ease(self.seconds, (self.begin, self.begin + ramp, self.finish - ramp, self.finish), (0, 1, 1, 0))

    def cycle(self, hertz: float) -> np.ndarray:
        """(T,) running phase in radians of a movement repeated `hertz` times a second."""
        return 2 * np.pi * (hertz * self.tempo * (self.seconds - self.begin) + self.phase)

    def strokes(self, seconds: float, most: int = 3) -> np.ndarray:
        """(T,) progress from 0 to 1 through each of one to `most` repetitions of `seconds` each; 0 before, 1 after them."""
        available = self.finish - self.begin
        length = min(seconds / self.tempo, available)
        count = int(self.rng.integers(1, min(most, int(available / length)) + 1))
        start = self.begin + self.draw(0, available - count * length)
        done = np.clip((self.seconds - start) / length, 0, count)
        return np.where(done < count, done % 1, 1.0)

    def idle(self) -> None:
        """Posture and sway of someone who waits: arms hanging, folded or held up, knees and trunk more or less straight."""
        held = [self.draw(0, 1) ** 2] * 2 if self.rng.random() < 0.5 else [self.draw(0, 1) ** 2, self.draw(0, 1) ** 2]
        crouch, spread = self.draw(0, 1) ** 3, self.draw(2, 12)
        for side, busy in zip("LR", held, strict=True):
            up, out = self.draw(-5, 10) + busy * self.draw(-10, 45), busy * self.draw(-20, 60)
            elbow, twist = self.draw(5, 30) + busy * self.draw(0, 100), self.draw(-35, 5) - busy * self.draw(0, 30)
            self.arm(side, 1, up, out, elbow, twist)
            self.blend(1, "Shoulder" + side, ROLL, self.draw(3, 12) if side == "L" else -self.draw(3, 12))
            self.leg(side, 1, self.draw(-3, 8) + 25 * crouch, self.draw(0, 8) + 40 * crouch, spread)
        self.bend(self.draw(-6, 8) + crouch * self.draw(0, 30))
        self.turn("Neck", PITCH, self.draw(-10, 15))
        sways = [
            ("Neck", YAW, 18), ("Neck", PITCH, 6), ("SpineBase", ROLL, 1.5), ("SpineBase", PITCH, 1.5), ("SpineMid", YAW, 6),
        ]  # fmt: skip
        sways += [(joint + side, PITCH, 6) for side in "LR" for joint in ("Shoulder", "Elbow")]
        for joint, axis, size in sways:
            slow, fast = self.draw(0.1, 0.3), self.draw(0.3, 0.7)
            wander = np.sin(2 * np.pi * (slow * self.seconds + self.draw(0, 1)))
            wander += 0.4 * np.sin(2 * np.pi * (fast * self.seconds + self.draw(0, 1)))
            self.turn(joint, axis, self.draw(0.2, 1) * size * wander)


def _wave(m: Mover, sides: str) -> None:
    on, swing = m.envelope(), np.sin(m.cycle(m.draw(1.3, 2.0)))
    up, out, size, twist = m.draw(40, 125), m.draw(20, 85), m.draw(16, 32), m.draw(-15, 20)
    forearm = m.draw(145, 190) - up  # the elbow angle that points the forearm up
    mirrored = m.rng.choice([-1, 1])
    for side in sides:
        m.arm(side, on, up, out, forearm + size * swing * (mirrored if side == "L" else 1), twist)


def wave_right(m: Mover) -> None:
    _wave(m, "R")


def wave_both(m: Mover) -> None:
    _wave(m, "LR")


def raise_arms(m: Mover) -> None:
    p, out, high, elbow = m.strokes(2.0, most=2), m.draw(0, 85), m.draw(95, 172), m.draw(0, 50)
    for side in "LR":
        m.arm(side, there_and_back(p, 0, 0.1, 0.9, 1), ease(p, (0, 0.4, 0.6, 1), (0, high, high, 0)), out, elbow)


def punch(m: Mover) -> None:
    on, hit = m.envelope(0.3), ease(m.strokes(0.8, most=4), (0, 0.25, 0.45, 0.55, 1), (0, -0.15, 1, 1, 0))
    guard, elbow, high = m.draw(10, 45), m.draw(85, 130), m.draw(65, 100)
    m.arm(m.side, on, guard + hit * (high - guard), 10 - 15 * hit, elbow - hit * (elbow - 12), -20)
    if m.rng.random() < 0.6:
        m.arm(m.other, on, m.draw(5, 45), 10, m.draw(30, 125), -20)
    m.shoulder_forward(m.side, hit * m.draw(10, 32))
    m.bend(hit * m.draw(0, 14))


def kick(m: Mover) -> None:
    p, at = m.strokes(1.2), (0, 0.25, 0.45, 0.6, 1)
    hip, knee = ease(p, at, (0, -20, m.draw(40, 95), 40, 0)), ease(p, at, (0, 75, 5, 35, 0))
    m.leg(m.side, there_and_back(p, 0, 0.1, 0.9, 1), hip, knee)
    m.bend(ease(p, (0, 0.25, 0.45, 1), (0, 8, -m.draw(0, 20), 0)))
    for side in "LR":
        on = m.draw(0, 1) * there_and_back(p, 0, 0.3, 0.6, 1)
        m.arm(side, on, m.draw(5, 55), m.draw(10, 80), m.draw(0, 60))


def squat(m: Mover) -> None:
    p, deep = m.strokes(1.8), m.draw(0.5, 1)
    down, arms = there_and_back(p, 0, 0.4, 0.55, 1), m.rng.choice([0, 1])
    up, out, elbow = m.draw(0, 90), m.draw(0, 60), m.draw(0, 70)
    for side in "LR":
        m.leg(side, down, 90 * deep, 115 * deep, 14 * deep)
        m.arm(side, arms * down, up, out, elbow)
    m.bend(down * m.draw(5, 45))


def jump(m: Mover) -> None:
    p, at, duration = m.strokes(1.3), (0, 0.3, 0.42, 0.66, 0.78, 1), 1.3 / m.tempo
    deep, swing, out, arms = m.draw(0.6, 1.1), m.draw(10, 150), m.draw(0, 60), m.draw(0.1, 1)
    flight = np.clip((p - 0.42) / 0.24, 0, 1)
    m.lift += 9.81 / 8 * (0.24 * duration) ** 2 * 4 * flight * (1 - flight)  # free fall over the time in the air
    on, up, aside = (
        ease(p, at, to) for to in ((0, 1, 1, 1, 1, 0), (0, -25, swing, swing, 10, 0), (0, 0, out, out, 0, 0))
    )
    hip, knee = deep * ease(p, at, (0, 55, 0, 0, 50, 0)), deep * ease(p, at, (0, 85, 0, 0, 80, 0))
    for side in "LR":
        m.leg(side, on, hip, knee)
        m.arm(side, arms * on, up, aside, 25)
    m.bend(deep * ease(p, at, (0, 25, 0, 0, 20, 0)))


def walk(m: Mover) -> None:
    on, phase = m.envelope(0.5), m.cycle(m.draw(0.75, 1.05))
    stride, arms, swing, elbow = m.draw(14, 27), m.draw(0, 1), m.draw(8, 35), m.draw(0, 50)
    for side, sign in (("L", 1), ("R", -1)):
        m.leg(side, on, 4 + sign * stride * np.sin(phase), 6 + 50 * np.maximum(0, sign * np.cos(phase)) ** 1.5)
        m.arm(side, arms * on, -sign * swing * np.sin(phase), 5, elbow)


def march(m: Mover) -> None:
    on, phase, knee = m.envelope(0.4), m.cycle(m.draw(0.75, 1.1)), m.draw(45, 95)
    arms, swing, elbow = m.draw(0, 1), m.draw(0, 45), m.draw(0, 90)
    for side, sign in (("L", 1), ("R", -1)):
        high = np.maximum(0, sign * np.sin(phase)) ** 1.3
        m.leg(side, on, high * knee, high * (knee + 10))
        m.arm(side, arms * on, -sign * swing * np.sin(phase), 5, elbow)


def bow(m: Mover) -> None:
    down = there_and_back(m.strokes(2.0, most=2), 0, 0.4, 0.6, 1)
    m.bend(down * m.draw(30, 95))
    m.turn("Neck", PITCH, down * m.draw(0, 25))
    for side in m.rng.choice(["", "L", "R", "LR"]):
        m.arm(side, down, m.draw(-10, 60), 0, m.draw(0, 60), -30)


def clap(m: Mover) -> None:
    on, apart = m.envelope(0.3), 0.5 - 0.5 * np.cos(m.cycle(m.draw(1.4, 2.4)))
    up, elbow, size = m.draw(10, 75), m.draw(60, 90), m.draw(25, 50)
    for side in "LR":
        m.arm(side, on, up, 12 * apart, elbow, size * apart - 36)


def throw(m: Mover) -> None:
    p, at = m.strokes(1.4, most=2), (0, 0.35, 0.5, 0.65, 1)
    high, out, step = m.draw(60, 115), m.draw(40, 90), there_and_back(p, 0, 0.1, 0.9, 1)
    up, aside = ease(p, at, (0, high, high + 15, 50, 0)), ease(p, at, (0, out, 25, -20, 0))
    elbow = ease(p, at, (0, 105, 55, 12, 10))
    m.arm(m.side, step, up, aside, elbow, ease(p, at, (0, 35, 0, 0, 0)))
    m.arm(m.other, m.draw(0, 1) * step, ease(p, at, (0, 65, 30, 5, 0)), 0, 25)
    on, hip = m.rng.choice([0, 1]) * step, ease(p, at, (0, m.draw(10, 35), 15, 8, 0))
    m.leg(m.other, on, hip, ease(p, at, (0, 35, 15, 8, 0)))
    m.shoulder_forward(m.side, ease(p, at, (0, -m.draw(10, 35), 10, 30, 0)))
    m.bend(ease(p, at, (0, -8, 5, m.draw(5, 35), 0)))


def handshake(m: Mover, partner: Mover) -> None:
    hertz, up, elbow, size = m.draw(1.4, 2.4), m.draw(25, 45), m.draw(20, 50), m.draw(6, 12)
    for person in (m, partner):
        on, pump = person.envelope(0.5), np.sin(person.cycle(hertz))
        person.arm("R", on, up + 6 * pump, -8, elbow + size * pump, -12)
        person.bend(on * person.draw(0, 10))


def push_other(m: Mover, partner: Mover) -> None:
    p, at, up, elbow = m.strokes(1.3, most=1), (0, 0.3, 0.45, 0.6, 1), m.draw(60, 85), m.draw(90, 130)
    for side in "LR":
        stretch = ease(p, at, (0, elbow, 10, 15, 10))
        m.arm(side, there_and_back(p, 0, 0.2, 0.8, 1), ease(p, at, (0, 40, up, up, 0)), -3, stretch)
        flail = partner.draw(0, 1) * there_and_back(p, 0.42, 0.6, 0.75, 1)
        partner.arm(side, flail, partner.draw(10, 60), partner.draw(0, 70), partner.draw(10, 60))
    m.bend(ease(p, (0, 0.3, 0.5, 1), (0, -4, m.draw(5, 22), 0)))
    m.leg(m.side, there_and_back(p, 0, 0.3, 0.6, 1), 20, 25)
    partner.bend(ease(p, (0.42, 0.6, 1), (0, -partner.draw(8, 22), 0)))
    partner.travel -= partner.draw(0.15, 0.5) * ease(p, (0.42, 0.75), (0, 1))
    partner.leg(partner.side, ease(p, (0.42, 0.58, 0.8), (0, 1, 0)), 18, 45)


ACTIONS: dict[str, Callable[..., None]] = {
    action.__name__: action
    for action in (
        wave_right, wave_both, raise_arms, punch, kick, squat, jump, walk, march, bow, clap, throw, handshake, push_other,
    )
}  # fmt: skip
"""Action name -> function, in label order."""

TOUCH = {"handshake": (("HandR",), ("HandR",)), "push_other": (("HandL", "HandR"), ("ShoulderL", "ShoulderR"))}
"""Two-person actions -> the joints of the one, and those of the other that they touch."""
