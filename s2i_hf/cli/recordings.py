"""`s2i inspect` and `s2i synthesize`: what is in a folder of recordings, and a folder of made-up ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .. import inspection
from ..readers.generic.folder import FolderOptions
from ..synthetic.people import ACTIONS, write_dataset
from ..utils.arguments import arg


@dataclass(kw_only=True)
class FolderArguments:
    """Flags for what recordings of general formats do not say themselves."""

    layout: str | None = arg(
        None, "Joint format, such as kinect_v2 or a JSON file with one, where files do not say it."
    )
    unit: str | None = arg(None, "m, cm, mm, inch, or metres per unit (CMU: 0.056444), where files do not say it.")
    up: str | None = arg(None, "Up axis: y, z or -y, where files do not say it.")
    axes: str | None = arg(
        None, "Order of the axes of arrays, such as MTVC (people, frames, joints, values), if in doubt."
    )
    fps: float | None = arg(None, "Frames a second, where files do not say it.")
    any_size: bool = arg(False, "Read bodies that are no people by their size.")

    @property
    def folder_options(self) -> FolderOptions:
        """These flags as `find_folder` takes them."""
        return {
            "layout": self.layout,
            "unit": self.unit,
            "up": self.up,
            "axes": self.axes,
            "fps": self.fps,
            "any_size": self.any_size,
        }


@dataclass
class InspectArguments(FolderArguments):
    """Flags of `s2i inspect`."""

    path: str = arg(help="Folder, zip archive or file with recordings, or a converted folder.", positional=True)
    protocol: str | None = arg(None, "Count by this protocol, such as ntu60_xsub.")
    html: str | None = arg(None, "Write one page with histograms and sample skeletons to this file too.")
    max_files: int | None = arg(None, "Read no more files than this, evenly chosen.")


def inspect(arguments: InspectArguments) -> int:
    """What is in a folder of recordings."""
    own = ("path", "protocol", "html", "max_files")
    return inspection.run(**{name: getattr(arguments, name) for name in own}, **arguments.folder_options)


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
