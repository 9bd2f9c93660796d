"""The reference interpreter as a backend: runs the lowered tile program itself."""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence

from tiledsl.backend.base import Argument, Options, Program, Report
from tiledsl.interpreter import interpret
from tiledsl.ir.core import Kernel
from tiledsl.ir.parser import parse
from tiledsl.machine import Machine
from tiledsl.passes import SHARED


class Backend:
    """Runs any kernel; reading or writing where a kernel may not is an error that names the user's line."""

    name = "interpreter"
    machine = Machine("interpreter")
    passes = SHARED
