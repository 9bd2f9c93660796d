"""`python -m tiledsl run [--quick] script.py [arguments]`: a script that imports triton, on tiledsl.

--quick stops each sweep of triton.testing.perf_report after ten seconds; TILEDSL_SWEEP_SECONDS names another time.
"""

from __future__ import annotations

import faulthandler
import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from ... import config
from . import children, cuda
from .alias import install

USAGE = "usage: python -m tiledsl run [--quick] SCRIPT [ARGUMENTS]"
QUICK_SECONDS = 10


def main(arguments: Sequence[str]) -> int:
    """Run a script as if it were started by Python."""
    if arguments and arguments[0] == "--quick":
        os.environ.setdefault(config.sweep_seconds.name, str(QUICK_SECONDS))
        arguments = arguments[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"{USAGE}\n\n{__doc__}")
        return 0 if arguments else 2
    if not Path(arguments[0]).exists():
        print(f"{arguments[0]}: there is no such file\n{USAGE}", file=sys.stderr)
        return 2
    faulthandler.enable()  # a kernel may reach memory that is not its own: the launch is told before the process ends
    return run(arguments)


def run(arguments: Sequence[str]) -> int:
    """Run a script, which is there, with its arguments."""
    script = Path(arguments[0])
    install()
    children.install()
    if find_spec("torch") is not None:
        cuda.install()
    sys.argv = list(arguments)
    sys.path[0] = str(script.resolve().parent)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except Exception as error:
        # as Python reports it, from the script's first frame on
        traceback.print_exception(error.with_traceback(_from_script(error.__traceback__)))
        return 1
    return 0


def _from_script(frames: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames that started the script."""
    own = (__file__, runpy.run_path.__code__.co_filename)  # the second is frozen, and has no path
    while frames is not None and frames.tb_frame.f_code.co_filename in own:
        frames = frames.tb_next
    return frames
