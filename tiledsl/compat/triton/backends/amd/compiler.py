"""Kept for code that names it: how arguments specialise kernels for this GPU."""

from ..compiler import BaseBackend


class HIPBackend(BaseBackend):
    """The rules for arguments."""
