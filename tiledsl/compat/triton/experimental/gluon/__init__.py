"""Gluon programs a GPU's memories by hand and is not offered; what describes its arguments on the host is."""

from typing import Any


def jit(fn: Any = None, **options: Any) -> Any:
    """Refuses: there is no such memory here."""
    raise NotImplementedError("Gluon kernels program the memories of a GPU by hand; tiledsl runs Triton kernels")
