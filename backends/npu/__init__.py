"""The T1 machine: a modelled tile accelerator with real instruction words, a simulator and a cycle count."""

from .backend import Backend
from .machine import T1_BASE, Npu

__all__ = ["T1_BASE", "Backend", "Npu"]
