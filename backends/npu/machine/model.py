"""What a machine is: every number once, with its key in a spec file, its unit, its range and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tiledsl.machine import Machine

RATED = ("i8", "u8", "f16", "bf16", "f32", "f64")  # element types that a matrix unit may multiply


@dataclass(frozen=True)
class Key:
    """A key of spec files and the numbers that it takes."""

    name: str  # "section.key"
    kind: type
    meaning: str
    least: float
    most: float
    power: bool = False  # only powers of two
    choices: tuple[str, ...] = ()  # of a string
    better: int = 1  # 1: a machine with more of it is the better one; -1: with less; 0: neither


def key(
    name: str,
    default: Any,
    meaning: str,
    least: float = 1,
    most: float = 2**62,
    power: bool = False,
    choices: tuple[str, ...] = (),
    better: int = 1,
) -> Any:
    """A field of the machine, and how it is written in a file."""
    return field(default=default, metadata={"key": Key(name, type(default), meaning, least, most, power, choices, better)})


class Npu(Machine):
    """One T1 part; the defaults are those of `t1-base`."""

    name: str = field(default="t1-base", metadata={"key": Key("npu.name", str, "what it is called", 0, 0, better=0)})
    cores: int = key("npu.cores", 4, "cores; each runs one program of the grid at a time", most=1024)
    clock_mhz: int = key("npu.clock_mhz", 1000, "cycles a microsecond", most=100_000)
    launch_us: float = key("npu.launch_us", 2.0, "microseconds that a launch takes besides its programs", least=0, most=1e6, better=-1)
    queue_depth: int = key("issue.queue_depth", 16, "instructions that wait in front of each engine", most=4096)
    taken_branch: int = key("issue.taken_branch", 2, "cycles lost by a jump that is taken", least=0, most=1024, better=-1)
    program_words: int = key("issue.imem_words", 16384, "instructions that a program may have", least=16, most=1 << 24)
    semaphores: int = key("issue.sems", 63, "semaphores", most=63)
    tile_descriptors: int = key("issue.descs", 64, "tile descriptors", least=4, most=64)
    global_descriptors: int = key("issue.gdescs", 32, "descriptors of boxes in DRAM", least=1, most=32)
    scalar_registers: int = key("issue.sregs", 32, "scalar registers, r0 among them, which is zero", least=8, most=32)
    descriptor_rank: int = key("issue.rank", 4, "axes of a descriptor", least=2, most=4)
    descriptor_elements: int = key("issue.elements", 1 << 24, "elements that one descriptor may name, repeated ones included", least=256)
    watchdog: int = key("issue.watchdog", 200_000_000, "instructions that a program may execute", least=1000, better=0)
    spm_bytes: int = key("spm.bytes", 1 << 20, "bytes of scratchpad, per core", least=1024, most=1 << 30)
    banks: int = key("spm.banks", 32, "banks of scratchpad, each a word a cycle; 0: none is in the way", least=0, most=1 << 16, power=True)
    bank_bytes: int = key("spm.bank_bytes", 16, "bytes of such a word", least=1, most=1024, power=True)
    acc_bytes: int = key(
        "acc.bytes", 256 << 10, "bytes of accumulators, per core; 0: products add up in the scratchpad", least=0, most=1 << 30
    )
    matrix_rows: int = key("matrix.rows", 32, "rows of the matrix unit; 0: there is none", least=0, most=4096)
    matrix_columns: int = key("matrix.cols", 32, "columns of the matrix unit", least=0, most=4096)
    matrix_units: int = key("matrix.units", 1, "such arrays, which share the folds of a product", most=1024)
    matrix_min_rows: int = key("matrix.min_rows", 4, "cycles that a fold takes at least", most=4096, better=-1)
    matrix_dataflow: str = key(
        "matrix.dataflow",
        "ws",
        "what stays in the array: weights (ws), sums (os), or nothing, so that every step reads both factors (direct)",
        choices=("ws", "os", "direct"),
        better=0,
    )
    matrix_overlap_folds: bool = key("matrix.overlap_folds", True, "whether a fold begins while the one before drains")
    matrix_step: int = key("matrix.cycles_per_row", 1, "cycles between two rows that enter the array", most=1024, better=-1)
    matrix_rate: Mapping[str, float] = field(
        default_factory=lambda: {"i8": 1.0, "u8": 1.0, "bf16": 1.0, "f16": 1.0, "f32": 0.25, "f64": 1 / 32}
    )
    lanes: int = key("vector.lanes", 128, "elements that the vector unit takes at a time", most=1 << 16)
    vector_setup: int = key("vector.setup", 4, "cycles before its first elements", least=0, most=4096, better=-1)
    load_channels: int = key("dma.channels", 4, "engines that load", most=16)
    store_channels: int = key("dma.store_channels", 2, "engines that store", most=16)
    vector_shares: bool = key(
        "vector.shares_matrix", False, "whether vector and matrix instructions wait for each other in one queue", better=-1
    )
    dma_setup: int = key("dma.setup", 16, "cycles before a transfer's first bytes", least=0, most=1 << 20, better=-1)
    burst: int = key("dma.burst", 64, "bytes that DRAM moves at once", least=1, most=1 << 16, power=True, better=-1)
    bursts_per_cycle: int = key("dma.bursts_per_cycle", 1, "bursts that one engine begins in a cycle", most=1 << 16)
    dma_bytes_per_cycle: int = key("dma.bytes_per_cycle", 32, "bytes a cycle of one engine", most=1 << 20)
    inflight: int = key("dma.max_inflight", 16, "transfers of one engine that are under way at once", most=4096)
    gather_per_cycle: int = key("dma.gather_per_cycle", 1, "elements a cycle, where each has an address of its own", most=4096)
    dram_gbytes: float = key("dram.gbytes_per_s", 64.0, "10**9 bytes a second, shared by all cores", least=1e-3, most=1e6)
    dram_latency: int = key("dram.latency_cycles", 120, "cycles until what was asked for arrives", least=0, most=1 << 20, better=-1)
    atomic_cycles: int = key("dram.atomic_cycles", 40, "cycles of one atomic update", least=0, most=1 << 20, better=-1)
    host_gbytes: float = key(
        "host.gbytes_per_s", 0.0, "10**9 bytes a second between host and scratchpad; 0: not modelled", least=0, most=1e6
    )
    sum_chunk: int = key(
        "numerics.sum_chunk",
        0,
        "products that the matrix unit adds up from zero before their sum joins the accumulator; 0: one chain, as the language says",
        least=0,
        most=4096,
        better=0,
    )
    mac_pj: Mapping[str, float] = field(default_factory=lambda: {"i8": 0.23, "u8": 0.23, "f16": 1.5, "bf16": 1.5, "f32": 4.6})
    lane_pj: float = key("energy.lane_pj", 4.6, "picojoules of a vector element of up to four bytes", least=0, most=1e6, better=0)
    spm_pj: float = key("energy.spm_pj_per_byte", 1.25, "picojoules of a byte from or to a memory of a core", least=0, most=1e6, better=0)
    dram_pj: float = key("energy.dram_pj_per_byte", 40.0, "picojoules of a byte from or to DRAM", least=0, most=1e6, better=0)
    issue_pj: float = key("energy.issue_pj", 20.0, "picojoules of an instruction, fetched and issued", least=0, most=1e6, better=0)
    idle_mw: float = key("energy.idle_mw", 0.0, "milliwatts of a core, whatever it does", least=0, most=1e6, better=0)
    mac_um2: Mapping[str, float] = field(default_factory=lambda: {"i8": 318.0, "u8": 318.0, "f16": 3000.0, "bf16": 3000.0, "f32": 11884.0})
    lane_um2: float = key("area.lane_um2", 18000.0, "square micrometres of a vector lane", least=0, most=1e9, better=0)
    sram_um2: float = key("area.sram_um2_per_byte", 5.5, "square micrometres of a byte of scratchpad", least=0, most=1e6, better=0)
    word_bits: int = key("encoding.bits", 0, "bits of an instruction word, whole bytes; 0: the layout of T1", least=0, most=1024, better=0)
    word_fields: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # lowest bit and width, of places other than T1's
    word_opcodes: Mapping[str, int] = field(default_factory=dict)  # by instruction, where they are others than T1's
    hooks: str = field(  # in a file relative to it, here in full
        default="",
        compare=False,
        repr=False,
        metadata={"key": Key("npu.hooks", str, "a Python file, from the folder of this one: instructions of its own", 0, 0, better=0)},
    )
    hooks_digest: str = ""  # of the contents of that file
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)  # where the numbers come from, by section

    @property
    def dram_bytes_per_cycle(self) -> float:
        """Of all cores together."""
        return self.dram_gbytes * 1e3 / self.clock_mhz

    @property
    def macs(self) -> int:
        """Multiply-adds that a core's matrix unit starts in a cycle, of a type with rate 1."""
        return self.matrix_rows * self.matrix_columns * self.matrix_units

    def multiplies(self, dtype: str) -> bool:
        """Whether the matrix unit takes elements of a type."""
        return self.macs > 0 and self.matrix_rate.get(dtype, 0.0) > 0


KEYS: Mapping[str, str] = {about["key"].name: name for name, about in Npu.about().items()}  # fields by key
DECLARED: Mapping[str, Key] = {about["key"].name: about["key"] for about in Npu.about().values()}
SECTIONS = tuple(dict.fromkeys(name.partition(".")[0] for name in KEYS))
