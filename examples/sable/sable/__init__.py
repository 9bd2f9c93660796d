"""Sable as a backend of tiledsl: found by the entry point in `pyproject.toml` once this package is installed."""

from pathlib import Path

from tiledsl.backends.npu import Backend as Npu
from tiledsl.backends.npu.machine import read


class Backend(Npu):
    """`backend="sable"`: compiler, simulators and timing of npu, for the machine in the file beside this one."""

    def __init__(self) -> None:
        super().__init__(read(Path(__file__).with_name("sable.npu.toml")), name="sable")
