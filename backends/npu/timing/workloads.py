"""Layers as tasks: tiled products and convolutions, double-buffered, of any machine; timed by the model that times kernels.

A block of the result at a time; its products run along k in steps. Loads go into one half of a buffer while the other half is
read, accumulators likewise; what a block has become passes through the vector unit and is stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..machine import Npu
from .costs import product
from .events import Timed
from .tasks import KIND_BARRIER, KIND_TRANSFER, Tasks


@dataclass(frozen=True)
class Product:
    """m x k times k x n, of elements of one type, and how often."""

    m: int
    k: int
    n: int
    dtype: str = "i8"
    size: int = 1  # bytes of a factor's element
    stored: int = 1  # of a result's
    passes: int = 0  # of the vector unit over each result
    inputs: int = 0  # bytes of the left factor in DRAM; 0: m * k elements. A convolution's are fewer: windows overlap

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return self.m * self.k * self.n


def convolution(size: int, channels: int, kernel: int, stride: int, filters: int, passes: int = 0, batch: int = 1) -> Product:
    """A convolution that keeps its size, or halves it by stride, as a product."""
    out = size // stride
    return Product(batch * out * out, channels * kernel * kernel, filters, passes=passes, inputs=batch * size * size * channels)


@dataclass(frozen=True)
class Block:
    """How a product is cut."""

    m: int
    k: int
    n: int


class Layers:
    """Products one after the other on one core: each begins when the one before has been stored."""

    def __init__(self, machine: Npu, products: Iterable[tuple[Product, Block]]):
        self.machine, self.tasks = machine, Tasks(machine)
        for layer, block in products:
            _Layer(self, layer, block).run()
            self.tasks.add("S", kind=KIND_BARRIER)

    def load(self, channel: int, size: float, after: Iterable[int], note: str) -> int:
        """A transfer of so many bytes, in whole bursts."""
        return self._move("L", channel, size, after, note)

    def store(self, size: float, after: Iterable[int], note: str) -> int:
        """Likewise, to DRAM."""
        return self._move("W", 0, size, after, note)

    def _move(self, unit: str, channel: int, size: float, after: Iterable[int], note: str) -> int:
        m = self.machine
        moved = math.ceil(size / m.burst) * m.burst
        count = m.load_channels if unit == "L" else m.store_channels
        own = moved / m.dma_bytes_per_cycle
        cost, latency, kind = m.dma_setup, m.dram_latency, KIND_TRANSFER
        waits = self.tied(unit, channel % count, after)
        return self.tasks.add(unit, cost, channel=channel % count, kind=kind, own=own, moved=moved, latency=latency, after=waits, note=note)

    def tied(self, unit: str, channel: int, after: Iterable[int]) -> tuple[int, ...]:
        """At most two of these waits; instructions that do nothing carry the others, ahead in the queue."""
        waits = [number for number in dict.fromkeys(after) if number >= 0]
        while len(waits) > 2:
            self.tasks.add(unit, channel=channel, after=(waits.pop(), waits.pop()))
        return tuple(waits)


class _Layer:
    def __init__(self, layers: Layers, layer: Product, block: Block):
        self.layers, self.layer, self.machine = layers, layer, layers.machine
        self.block = Block(min(block.m, layer.m), min(block.k, layer.k), min(block.n, layer.n))
        self.readers: dict[str, list[tuple[int, ...]]] = {"a": [], "b": []}  # what has read each buffer's halves, in turn
        self.drained: list[int] = []  # what has read each half of the accumulators

    def run(self) -> None:
        layer, block = self.layer, self.block
        rate = (layer.inputs or layer.m * layer.k * layer.size) / (layer.m * layer.k)  # bytes of the left factor per element
        whole = block.k == layer.k  # then its panel stays while the right one changes
        for row in range(0, layer.m, block.m):
            m = min(block.m, layer.m - row)
            panel: list[int] = []
            users: list[int] = []
            for column in range(0, layer.n, block.n):
                n = min(block.n, layer.n - column)
                last = -1
                for term in range(0, layer.k, block.k):
                    k = min(block.k, layer.k - term)
                    if not (whole and panel):
                        panel = [self.layers.load(0, m * k * rate, self._half("a"), "load a")]
                        users = []
                    right = self.layers.load(1, k * n * layer.size, self._half("b"), "load b")
                    room = self.drained[-2:-1] if term == 0 else []
                    waits = self.layers.tied("M", 0, [*panel, right, *room])
                    busy, fill = product(self.machine, m, k, n, layer.dtype)
                    last = self.layers.tasks.add("M", busy, latency=fill, after=waits, note="product")
                    users.append(last)
                    self.readers["b"].append((last,))
                    if not whole:
                        self.readers["a"].append((last,))
                self._finish(m, n, last)
            if whole:
                self.readers["a"].append((users[-1],))

    def _half(self, name: str) -> tuple[int, ...]:
        """What has to be over before a half of a buffer can be filled again."""
        readers = self.readers[name]
        return readers[-2] if len(readers) >= 2 else ()

    def _finish(self, m: int, n: int, last: int) -> None:
        groups = math.ceil(m * n / self.machine.lanes)
        unit = "M" if self.machine.vector_shares else "V"
        drain = last
        for note in ("drain", *["vector"] * self.layer.passes):
            drain = self.layers.tasks.add(unit, self.machine.vector_setup + groups, after=(drain,), note=note)
        self.drained.append(drain)
        self.layers.store(m * n * self.layer.stored, (drain,), "store")


def cycles(layers: Layers) -> Timed:
    """All layers, timed."""
    return Timed([layers.tasks.finish()], [0], 1, layers.machine.dram_bytes_per_cycle)


def blocks(machine: Npu, layer: Product) -> Iterator[Block]:
    """Blocks of which two fit: all of k if the scratchpad holds it beside a square of sums, else smaller squares in steps, too."""
    rows, columns = machine.matrix_rows, machine.matrix_columns
    sums = (machine.acc_bytes or machine.spm_bytes // 4) // 8  # of four bytes, in one half
    held = machine.spm_bytes // 2 // layer.size
    n = min(_up(layer.n, columns), max(columns, int(math.sqrt(sums)) // columns * columns))
    m = min(layer.m, max(1, sums // n))
    if (m + n) * layer.k <= held:
        yield Block(m, layer.k, n)
        return
    for part in (1, 2):
        width = max(columns, n // part // columns * columns)
        height = max(1, min(m // part, held // rows - width))
        for steps in (4, held // (height + width) // rows):
            if 0 < steps <= held // (height + width) // rows:
                yield Block(height, steps * rows, width)


def best(machine: Npu, layer: Product) -> Block:
    """The blocks in which a layer is fastest."""
    found = list(blocks(machine, layer))
    return min(found, key=lambda block: cycles(Layers(machine, [(layer, block)])).cycles) if len(found) > 1 else found[0]


def _up(count: int, unit: int) -> int:
    return math.ceil(count / unit) * unit


def run(machine: Npu, products: Sequence[Product]) -> Timed:
    """Products on one core of a machine, in the best blocks that it has room for."""
    chosen = {layer: best(machine, layer) for layer in dict.fromkeys(products)}
    return cycles(Layers(machine, [(layer, chosen[layer]) for layer in products]))


def scaled(machine: Npu, side: int) -> Npu:
    """The same machine with another array of cells, all else alike."""
    return machine.but(matrix_rows=side, matrix_columns=side)


def resnet(depth: int, passes: int) -> list[Product]:
    """The convolutions of a ResNet on 224 x 224 pixels behind the first one."""
    counts = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}[depth]
    layers, channels, size = [], 64, 56
    for stage, count in enumerate(counts):
        width = 64 << stage
        for index in range(count):
            stride = 2 if stage and not index else 1
            if depth < 50:
                layers += [convolution(size, channels, 3, stride, width, passes)]
                layers += [convolution(size // stride, width, 3, 1, width, passes + 1)]  # and the shortcut added
                wide = width
            else:
                wide = 4 * width
                layers += [convolution(size, channels, 1, 1, width, passes), convolution(size, width, 3, stride, width, passes)]
                layers += [convolution(size // stride, width, 1, 1, wide, passes + 1)]
            if channels != wide:
                layers.append(convolution(size, channels, 1, stride, wide, passes))
            channels, size = wide, size // stride
    return layers
