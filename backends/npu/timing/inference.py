"""Whole networks on a machine whose weights pass through a queue of tiles: what the first TPU counts while it runs them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..machine import Npu
from .events import Timed
from .tasks import FIRST, KIND_BARRIER, KIND_TRANSFER, Tasks

WAITING_TILES = 4  # of weights, between DRAM and array


@dataclass(frozen=True)
class Network:
    """Layers of k x n weights, and the rows that pass through each of them in a batch."""

    name: str
    rows: int
    layers: tuple[tuple[int, int], ...]
    inputs: int  # bytes of a batch from the host
    outputs: int


@dataclass(frozen=True)
class Counters:
    """Shares of all cycles: products, waiting for weights, putting them into the array, all else; and 10**12 operations a second."""

    active: float
    stall: float
    shift: float
    other: float
    tops: float


def board(name: str, batch: int, layers: int, filters: int, planes: int, side: int = 19, kernel: int = 3) -> Network:
    """Convolutions of one width on a board of side x side points, whose inputs are `planes` bytes a point."""
    rows = batch * side * side
    return Network(name, rows, ((filters * kernel * kernel, filters),) * layers, rows * planes, rows)


NETWORKS = (  # Jouppi et al. 2017, table 1: layers, weights (rounded there) and batch; widths are multiples of the array
    Network("MLP0", 200, ((2048, 2048),) * 5, 200 * 2048, 200 * 2048),  # 21 M
    Network("MLP1", 168, ((1280, 1024), (1024, 1280)) * 2, 168 * 1280, 168 * 1280),  # 5.2 M
    board("CNN0", 8, 14, 256, 48),  # 8.3 M; its 2888 products per weight are 8 boards of 19 x 19
)


def run(machine: Npu, network: Network, batches: int = 3) -> Counters:
    """A network on a machine, batch after batch."""
    side, columns = machine.matrix_rows, machine.matrix_columns
    tasks = Tasks(machine)
    host = machine.clock_mhz * 1e-3 / machine.host_gbytes if machine.host_gbytes else 0.0  # cycles a byte
    loads: list[int] = []
    shifts: list[int] = []
    products: list[int] = []
    ready: list[int] = []  # per product, what its rows are
    rows = network.rows
    tile = side * columns
    for _ in range(batches):
        data = tasks.add("L", own=network.inputs * host, channel=1, after=tuple(products[-1:]))
        for k, n in network.layers:
            finished = data
            for _column in range(math.ceil(n / columns)):
                for _term in range(math.ceil(k / side)):
                    number = len(products)
                    room = shifts[number - WAITING_TILES : number - WAITING_TILES + 1] if number >= WAITING_TILES else []
                    loads.append(tasks.add("L", kind=KIND_TRANSFER, own=tile / machine.dma_bytes_per_cycle, moved=tile, after=tuple(room)))
                    plane = products[number - 2 : number - 1] if number >= 2 else []
                    shifts.append(tasks.add("X", side, after=(loads[-1], *plane)))
                    ready.append(data)
                    products.append(tasks.add("M", rows, latency=side + columns - 2, after=(shifts[-1], data)))
                finished = tasks.add("V", machine.vector_setup + math.ceil(rows * columns / machine.lanes), after=(products[-1],))
            data = finished
        tasks.add("W", own=network.outputs * host, after=(data,))
        tasks.add("S", kind=KIND_BARRIER)
    timed = Timed([tasks.finish()], [0], 1, machine.dram_bytes_per_cycle, record=True)
    return _count(machine, network, timed, np.array(shifts), np.array(products), np.array(ready), batches)


def _count(
    machine: Npu, network: Network, timed: Timed, shifts: np.ndarray, products: np.ndarray, ready: np.ndarray, batches: int
) -> Counters:
    """Each cycle in front of a product counts once: until its rows are there as other, then while weights shift, else as stall."""
    began, ended = timed.began[products], np.concatenate([[0.0], timed.freed[products][:-1]])
    there = np.clip(timed.seen[ready], ended, began)
    shift = np.clip(began - np.maximum(timed.began[shifts], there), 0, machine.matrix_rows)
    stall = began - there - shift
    total = timed.cycles
    active = timed.busy[FIRST["M"]]
    macs = batches * network.rows * sum(k * n for k, n in network.layers)
    other = total - active - shift.sum() - stall.sum()
    each = 100 / total
    tops = 2 * macs / total * machine.clock_mhz * 1e-6
    return Counters(float(active) * each, float(stall.sum()) * each, float(shift.sum()) * each, float(other) * each, tops)
