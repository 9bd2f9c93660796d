"""tiledsl: a Triton-style tile language in pure Python, with its own compiler and interchangeable backends."""

import os as _os

from .version import __version__

_root = _os.path.dirname(_os.path.dirname(_os.path.abspath(__file__)))
if _os.path.isfile(_os.path.join(_root, "setup.cfg")) and _os.path.isfile(_os.path.join(_root, "backends", "__init__.py")):
    __path__.append(_root)  # a source checkout: tiledsl.backends is <root>/backends, tiledsl.kernels is <root>/kernels
