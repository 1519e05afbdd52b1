"""`python -m s2i_hf` and `accelerate launch -m s2i_hf`: the command line `s2i`."""

import sys

from s2i_hf.cli import main

sys.exit(main())
