"""`s2i inspect` and `s2i synthesize`: what is in a folder of recordings, and a folder of made-up ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .. import inspection
from ..synthetic.people import ACTIONS, write_dataset
from ..utils.arguments import arg


@dataclass
class InspectArguments:
    """Flags of `s2i inspect`."""

    path: str = arg(help="Folder, zip archive or file with recordings, or a converted folder.", positional=True)
    protocol: str | None = arg(None, "Count by this protocol, such as ntu60_xsub.")
    layout: str | None = arg(None, "Joint format, where the files do not say it.")
    html: str | None = arg(None, "Write one page with histograms and sample skeletons to this file too.")
    max_files: int | None = arg(None, "Read no more files than this, evenly chosen.")


def inspect(arguments: InspectArguments) -> int:
    """What is in a folder of recordings."""
    return inspection.run(**asdict(arguments))


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
    options = asdict(arguments)
    paths = write_dataset(options.pop("output"), **options)
    print(f"{len(paths)} files in {arguments.output}")
