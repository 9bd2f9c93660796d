"""The machines of this backend: sizes, units and costs; compiler, simulator, checker and timing read the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiledsl.machine import Machine


@dataclass(frozen=True)
class Npu(Machine):
    """One T1 part; the defaults are `t1-base`."""

    name: str = "t1-base"
    cores: int = 4
    clock_mhz: int = 1000
    launch_us: float = 2.0
    # issue
    queue_depth: int = 16
    taken_branch: int = 2
    program_words: int = 16384
    semaphores: int = 63
    tile_descriptors: int = 64
    global_descriptors: int = 32
    scalar_registers: int = 32
    descriptor_rank: int = 4
    descriptor_elements: int = 1 << 24  # that one descriptor may name, repeated ones included
    watchdog: int = 200_000_000  # instructions a program may execute
    # memories of one core, in bytes
    spm_bytes: int = 1 << 20
    acc_bytes: int = 256 << 10
    # matrix unit
    matrix_rows: int = 32
    matrix_columns: int = 32
    matrix_min_rows: int = 4
    matrix_rate: Mapping[str, float] = field(
        default_factory=lambda: {"i8": 1.0, "u8": 1.0, "bf16": 1.0, "f16": 1.0, "f32": 0.25, "f64": 1 / 32}
    )
    # vector unit
    lanes: int = 128
    vector_setup: int = 4
    # DMA and DRAM
    load_channels: int = 4
    store_channels: int = 2
    dma_setup: int = 16
    burst: int = 64
    dma_bytes_per_cycle: int = 32
    gather_per_cycle: int = 1
    dram_bytes_per_cycle: float = 64.0  # 64 GB/s at 1 GHz, shared by the cores
    dram_latency: int = 120
    atomic_cycles: int = 40


T1_BASE = Npu(
    vector_bytes=512,
    memories={"spm": 1 << 20, "acc": 256 << 10},
    peak_flops=4 * 32 * 32 * 2 * 0.25 * 1e9,
    bandwidth=64e9,
)
