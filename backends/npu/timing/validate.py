"""The model against figures that others measured: `python -m tiledsl.backends.npu.timing.validate FOLDER` scores tables of them.

SCALE-Sim's compute cycles are a closed form and have to be met exactly; all else is silicon or RTL, and a question of per cent.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..machine import T1_BASE, Npu, find
from . import inference
from .costs import product
from .workloads import Product, resnet, run, scaled

REQUANTISE = 3  # passes over a result that becomes bytes again: shift, and clip from both sides


def array_cycles(array: Sequence[int], dataflow: str, m: int, k: int, n: int) -> int:
    """The last cycle of a product on an array whose folds do not overlap, counted from 0 as SCALE-Sim does."""
    rows, columns = array
    machine = T1_BASE.but(
        matrix_rows=rows, matrix_columns=columns, matrix_dataflow=dataflow, matrix_overlap_folds=False, matrix_rate={"i8": 1.0}
    )
    return int(product(machine, m, k, n, "i8")[0]) - 1


def product_microseconds(machine: Npu, m: int, k: int, n: int) -> float:
    """One product of four-byte numbers, multiplied as bf16, alone on a machine."""
    return machine.launch_us + run(machine, [Product(m, k, n, "bf16", 4, 4)]).cycles / machine.clock_mhz


@cache
def network_counters(name: str) -> inference.Counters:
    """What a network of the first TPU's counts there."""
    return inference.run(find("tpu-v1-like"), next(n for n in inference.NETWORKS if n.name == name))


@cache
def network_cycles(depth: int, step: int) -> float:
    """The convolutions of a ResNet on VTA, with a step of its product unit every so many cycles."""
    return run(find("vta-256").but(matrix_step=step), resnet(depth, REQUANTISE)).cycles


@cache
def network_use(side: int) -> float:
    """The share of a Gemmini's products that ResNet-50 keeps busy."""
    layers = resnet(50, 0)
    return 100 * sum(layer.macs for layer in layers) / side**2 / run(scaled(find("gemmini-16"), side), layers).cycles


def published(row: str) -> float | None:
    """What the model says to a figure, by its name; none where it says nothing."""
    anchor, name, *what = row.split("/")
    if anchor == "tpu1" and what and name in {n.name for n in inference.NETWORKS}:
        counters = network_counters(name)
        shares = {"tops": counters.tops, "act": counters.active, "use": counters.active, "wst": counters.stall}
        return {**shares, "wsh": counters.shift, "non": counters.other}.get(what[0])
    if anchor == "vta" and what and name[:8] in ("resnet18", "resnet34"):
        return network_cycles(int(name[6:8]), {"pipelined": 1, "baseline": 4}[what[0]])
    return None


def score(folder: Path) -> Iterator[str]:
    """A line for every table and figure below a folder."""
    for path in sorted(folder.glob("*.json")):
        rows = json.loads(path.read_text()).get("rows", [])
        if path.name.startswith("scalesim"):
            yield scalesim(rows)
        elif path.name.startswith("tpu_v4"):
            yield from tpu_v4(rows)
        elif path.name.startswith("published"):
            yield from figures(rows)
    faster = 16 * network_use(64) / network_use(16)
    yield f"Gemmini, ResNet-50: {network_use(16):.0f} % of 16 x 16 used; 64 x 64 is {faster:.2f} times as fast"


def scalesim(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many rows are met exactly."""
    same = sum(array_cycles(r["array"], r["dataflow"], r["M"], r["K"], r["N"]) == r["compute"]["cycles"] for r in rows)
    return f"SCALE-Sim compute cycles: {same} of {len(rows)} exact"


def tpu_v4(rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """The mean error of each group."""
    errors = defaultdict(list)
    machine = find("tpu-v4-core")
    for group, m, n, k, measured, *_ in rows:
        errors[group].append(abs(product_microseconds(machine, m, k, n) / measured - 1))
    for group, found in errors.items():
        yield f"TPU v4, group {group}: mean error {100 * sum(found) / len(found):.1f} % of {len(found)} products"


def figures(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each figure beside the model's."""
    for row in rows:
        said = published(row["id"])
        if said is not None:
            off = f"{said - row['value']:+.1f} points" if row["unit"].startswith("%") else f"{100 * (said / row['value'] - 1):+.1f} %"
            yield f"{row['id']}: {row['value']:,} {row['unit']}, model {said:,.1f} ({off})"


if __name__ == "__main__":
    print(*score(Path(sys.argv[1])), sep="\n")
