"""`s2i synthesize`."""

from __future__ import annotations

from dataclasses import dataclass

from ..synthetic.people import ACTIONS, write_dataset
from ..utils.arguments import arg


@dataclass
class SynthesizeArguments:
    """Flags of `s2i synthesize`."""

    output: str = arg(help="Folder to make.")
    subjects: int = arg(10, "People; in synthetic_xsub odd ones train.")
    replications: int = arg(2, "Performances of each action by each.")
    cameras: int = arg(3, "Views of each performance, 1 to 3.")
    seed: int = arg(0, "Another seed, another data set.")
    actions: tuple[str, ...] = arg((), f"Only some of: {' '.join(ACTIONS)}.")


def synthesize(arguments: SynthesizeArguments) -> None:
    """Synthetic people.

    Protocols synthetic_xsub and synthetic_xview read the folder: s2i convert synthetic_xsub --data-dir DIR --output OUT
    """
    paths = write_dataset(
        arguments.output,
        arguments.subjects,
        arguments.replications,
        arguments.cameras,
        arguments.seed,
        arguments.actions or None,
    )
    print(f"{len(paths)} files in {arguments.output}")
