"""What the first launch of a process would wait for, done by `import tiledsl`: the modules that a launch on the CPU needs, and
what tells this compiler and that backend from others. Compiling, with its fifty modules and LLVM, stays for who compiles."""

from __future__ import annotations

from .. import config
from ..backend import registry
from .cache import backend_version, compiler_version


def prepare() -> None:
    """Load the CPU's backend, if launches go there unless told otherwise."""
    if config.backend() == "cpu":
        compiler_version()
        backend_version(type(registry.find("cpu")))
