"""Which configs of a matrix product are worth measuring, and how long one will about take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....autotune import Config
from ..backends.driver import SHARED_MEMORY, cores

OPERATIONS = 5e7  # of a core, per millisecond
BYTES = 1e7  # from memory to all cores, per millisecond


def early_config_prune(configs: Sequence[Config], named_args: Mapping[str, Any], **kwargs: Any) -> list[Config]:
    """The configs whose tiles of both operands fit the fast memory, once for each stage; all, if none does."""
    size = named_args["A"].element_size()

    def needs(config: Config) -> int:
        m, n, k = (config.kwargs[f"BLOCK_{axis}"] for axis in "MNK")
        return (m + n) * k * size * config.num_stages

    return [c for c in configs if needs(c) <= SHARED_MEMORY] or list(configs)


def estimate_matmul_time(
    num_warps: int, num_stages: int, A: Any, B: Any, C: Any, M: int, N: int, K: int,
    BLOCK_M: int, BLOCK_N: int, BLOCK_K: int, SPLIT_K: int, debug: bool = False, **kwargs: Any,
) -> float:  # fmt: skip
    """Milliseconds of arithmetic on whole tiles, on as many cores as there are programs, and of the memory that they read and write."""
    rows, columns, depth = -(-M // BLOCK_M), -(-N // BLOCK_N), -(-K // (BLOCK_K * SPLIT_K))
    programs = rows * columns * SPLIT_K
    rounds = -(-programs // cores())
    arithmetic = rounds * 2 * BLOCK_M * BLOCK_N * depth * BLOCK_K / OPERATIONS
    read = programs * depth * BLOCK_K * (BLOCK_M * A.element_size() + BLOCK_N * B.element_size())
    written = programs * BLOCK_M * BLOCK_N * C.element_size()
    return arithmetic + (read + written) / BYTES
