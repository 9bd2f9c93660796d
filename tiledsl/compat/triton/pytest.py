"""`pytest -p tiledsl.compat.triton.pytest`: tests that import triton run on tiledsl, and their "cuda" tensors on the CPU."""

from __future__ import annotations

from . import children, cuda
from .alias import install

install()
children.install()
try:
    cuda.install()
except ImportError:  # tests without torch
    pass
