"""`s2i`, `python -m s2i_hf` and `accelerate launch -m s2i_hf`: the command line, which Ctrl-C ends silently from the first import on."""

import sys

from s2i_hf.utils.interruption import silent_interruption


def main() -> int:
    """Run the command line; returns its exit code."""
    with silent_interruption():
        from s2i_hf.cli import main as run
    return run()


if __name__ == "__main__":
    sys.exit(main())
