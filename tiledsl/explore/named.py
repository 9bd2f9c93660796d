"""Machines as users name them: a file, a preset, or a backend that a package offers for a machine of its own."""

from __future__ import annotations

from ..backend import registry
from ..backends.npu.machine import PRESETS, Npu, find


def machine_named(name: str) -> Npu:
    """The machine of this name; LaunchError says which presets there are."""
    if name not in PRESETS and name in registry.names():
        machine = registry.find(name).machine
        if isinstance(machine, Npu):
            return machine
    return find(name.removeprefix("npu:"))  # as launches name it
