"""Kept for code that names it: the driver of this machine."""

from ..driver import CPUDriver as CPUDriver
