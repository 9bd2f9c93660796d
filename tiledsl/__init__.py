"""tiledsl: a Triton-style tile language in pure Python, with its own compiler and interchangeable backends."""

import os as _os

_root = _os.path.dirname(_os.path.dirname(_os.path.abspath(__file__)))
if _os.path.isfile(_os.path.join(_root, "setup.cfg")) and _os.path.isfile(_os.path.join(_root, "backends", "__init__.py")):
    __path__.append(_root)  # a source checkout: tiledsl.backends is <root>/backends, tiledsl.kernels is <root>/kernels

from .autotune import Config, autotune, heuristics
from .backend.registry import use
from .backend.threads import set_num_threads
from .errors import CompilationError, LaunchError, MemoryFault, TileError
from .memory import empty
from .runtime.early import prepare as _prepare
from .runtime.jit import jit
from .version import __version__

__all__ = [
    "CompilationError",
    "Config",
    "LaunchError",
    "MemoryFault",
    "TileError",
    "__version__",
    "autotune",
    "cdiv",
    "empty",
    "heuristics",
    "jit",
    "next_power_of_2",
    "set_num_threads",
    "use",
]


def cdiv(x: int, y: int) -> int:
    """x / y, rounded up."""
    return (x + y - 1) // y


def next_power_of_2(n: int) -> int:
    """The smallest power of two that is not below n."""
    return 1 << max(n - 1, 0).bit_length()


_prepare()
