"""From a run's trace to its tasks, in bulk: what `listen` does instruction by instruction.

Few instructions of a run differ in what they cost: the same words on tiles and boxes of the same shapes. So each is looked up by its
number and the shapes it names, and only what has not been seen yet is asked what it costs.

    sort by pc         the instructions of one word stand together
    keep the changes   where the shapes are others than the time before
    look up            those few; the rest is as the one before it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from ..isa.custom import customs
from ..isa.instructions import NO_SEMAPHORE
from ..isa.state import GlobalDescriptor, TileDescriptor
from ..machine import Npu
from ..simulator.trace import AXES, OPERANDS, Shown, Trace
from .demand import Demand, demand
from .tasks import FIRST, NO_TASK, Tasks

MOST_KNOWN = 100_000
FIELDS = ("kind", "queue", "cost", "own", "moved", "latency", "banks")


class Prices:
    """What the instructions of a program cost, by number and shapes; common to all its runs, those of other launches, too."""

    def __init__(self, program: Sequence[Shown], machine: Npu):
        self.program, self.machine = program, machine
        self._lock = Lock()
        self.known: dict[int, int] = {}  # rows by key
        self.rows: list[tuple[float, ...]] = []
        self.waits = np.array([[one.idle.common["wait0"], one.idle.common["wait1"]] for one in program], np.uint8).reshape(-1, 2)
        self.posts = np.array([one.idle.common["post"] for one in program], np.uint8)
        own = customs(machine)
        self.custom = np.array([one.one.instruction.name in own for one in program], bool)
        odd = np.random.default_rng(0).integers(1 << 62, size=4 * AXES + 16, dtype=np.int64) | 1  # factors of the keys, always the same
        self.of_step, self.of_tile, self.of_box = odd[:8], odd[8 : 12 + 2 * AXES], odd[: 2 + 4 * AXES]

    @property
    def crowded(self) -> bool:
        """Whether they know so much that beginning anew is better."""
        return len(self.rows) > MOST_KNOWN

    def rows_of(self, trace: Trace) -> np.ndarray:
        """The row of each of a trace's steps."""
        steps = trace.steps
        pc = steps["pc"].astype(np.uint16 if len(self.program) < 1 << 16 else np.int64)
        keys = self._keys(trace)
        order = np.argsort(pc, kind="stable")
        sorted_keys = keys[order]
        changes = np.flatnonzero(np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]]))
        found = np.empty(len(changes), np.int32)
        for i, (key, step) in enumerate(zip(sorted_keys[changes].tolist(), order[changes].tolist(), strict=True)):
            row = self.known.get(key, -1)
            if row < 0:
                row = self.known[key] = self._ask(trace, step)
            found[i] = row
        rows = np.empty(len(steps), np.int32)
        rows[order] = np.repeat(found, np.diff(changes, append=len(steps)))
        return rows

    def columns(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The columns of tasks, for rows that `rows_of` gave."""
        table = np.array(self.rows, np.float64).reshape(-1, len(FIELDS))
        kinds = dict.fromkeys(("kind", "queue"), np.int64)
        return {name: table[:, i].astype(kinds.get(name, np.float64)).take(rows) for i, name in enumerate(FIELDS)}

    def _keys(self, trace: Trace) -> np.ndarray:
        """A number for each step that tells apart what may cost another number of cycles. Where a tile or a box lies makes no difference,
        except to instructions of a vendor's."""
        steps, factors = trace.steps, self.of_step
        tiles, boxes = trace.tiles, trace.boxes
        with np.errstate(over="ignore"):
            shapes = [tiles["space"], tiles["dtype"], tiles["rank"], *tiles["extents"].T, *tiles["strides"].T]
            tile = _mixed(shapes, self.of_tile)
            low, high = np.maximum(boxes["low"], 0), np.minimum(boxes["high"], boxes["extents"])
            box = _mixed([boxes["dtype"], *boxes["extents"].T, *boxes["strides"].T, *low.T, *np.maximum(low, high).T], self.of_box)
            tile, box = np.append(tile, 0), np.append(box, 0)  # -1, no operand, is the last
            keys = steps["pc"] * factors[0] + steps["done"] * factors[1] + box[steps["box"]] * factors[2]
            for operand in range(OPERANDS):
                keys += tile[steps["tiles"][:, operand]] * factors[3 + operand]
            if self.custom.any():
                base = np.append(tiles["base"], 0)[steps["tiles"]] @ factors[3 : 3 + OPERANDS]
                keys += np.where(self.custom[steps["pc"]], base * factors[7], 0)
        return keys

    def _ask(self, trace: Trace, step: int) -> int:
        """A new row, for an instruction that has not been seen with these shapes."""
        pc, done, *_ = trace.steps[step]
        shown = self.program[pc]
        asked = demand(Step(trace, step, shown, self.machine), shown.one if done else shown.idle)
        with self._lock:  # launches of other threads ask, too
            self.rows.append(_row(asked))
            return len(self.rows) - 1


def _mixed(columns: Sequence[np.ndarray], factors: np.ndarray) -> np.ndarray:
    """One number for each row: a sum of products modulo 2**64, stirred so that sums of them collide no more than random ones."""
    total: np.ndarray = sum(column * factor for column, factor in zip(columns, factors, strict=False))
    return (total ^ (total >> 29)) * factors[0]


def _row(asked: Demand) -> tuple[float, ...]:
    return asked.kind, FIRST[asked.unit] + asked.channel, asked.cost, asked.own, asked.moved, asked.latency, asked.banks


class Step:
    """A step of a trace as its cost sees the core: the descriptors that it names."""

    def __init__(self, trace: Trace, step: int, shown: Shown, machine: Npu):
        self.machine = machine
        row = trace.steps[step]
        self._tiles = {register: trace.tile(index) for register, index in zip(shown.tiles, row["tiles"], strict=False) if index >= 0}
        self._box = trace.box(row["box"]) if row["box"] >= 0 else None

    def tile(self, index: int) -> TileDescriptor:
        """The tile that a register held."""
        return self._tiles[index]

    def box(self, _index: int) -> GlobalDescriptor:
        """The box that the instruction names."""
        assert self._box is not None
        return self._box


@dataclass(frozen=True, eq=False)
class Piece:
    """Steps of a run, priced."""

    pcs: np.ndarray
    rows: np.ndarray

    @property
    def key(self) -> bytes:
        """Equal for pieces that cost the same."""
        return self.rows.tobytes() + self.pcs.tobytes()


def priced(prices: Prices, trace: Trace) -> Piece:
    """What a trace, or a piece of one, costs."""
    return Piece(trace.steps["pc"].copy(), prices.rows_of(trace))


def tasks_of(prices: Prices, pieces: Sequence[Piece]) -> Tasks:
    """The tasks of a run."""
    pc = np.concatenate([piece.pcs for piece in pieces])
    columns = prices.columns(np.concatenate([piece.rows for piece in pieces]))
    jumped = np.concatenate([pc[:1] != 0, pc[1:] != pc[:-1] + 1])
    columns["stall"] = jumped * float(prices.machine.taken_branch)
    columns["first"], columns["second"] = paired(prices.waits.take(pc, axis=0), prices.posts.take(pc))
    return Tasks.of(prices.machine, columns, pc)


def paired(waits: np.ndarray, posts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each instruction the at most two posts that it waits for: the k-th wait of a semaphore has its k-th post."""
    posting = np.flatnonzero(posts != NO_SEMAPHORE)
    posting = posting[np.argsort(posts[posting], kind="stable")]
    slots = np.flatnonzero(waits.reshape(-1) != NO_SEMAPHORE)  # instruction * 2 + which of its waits
    slots = slots[np.argsort(waits.reshape(-1)[slots], kind="stable")]
    many_posts, many_waits = (np.bincount(column, minlength=256) for column in (posts[posting], waits.reshape(-1)[slots]))
    if (many_waits > many_posts).any():
        return _one_by_one(waits, posts)
    starts = np.cumsum(many_posts) - many_posts
    ranks = np.arange(len(slots)) - np.repeat(np.cumsum(many_waits) - many_waits, many_waits)
    sources = posting[np.repeat(starts, many_waits) + ranks]
    if (sources >= slots // 2).any():
        return _one_by_one(waits, posts)
    found = np.full(waits.size, NO_TASK, np.int64)
    found[slots] = sources
    return _packed(found.reshape(-1, 2))


def _one_by_one(waits: np.ndarray, posts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For programs that wait for what nothing has posted: as if they had not."""
    left: dict[int, list[int]] = {}
    found = np.full(waits.shape, NO_TASK, np.int64)
    for i, (both, post) in enumerate(zip(waits.tolist(), posts.tolist(), strict=True)):
        for slot, semaphore in enumerate(both):
            if left.get(semaphore):
                found[i, slot] = left[semaphore].pop(0)
        if post != NO_SEMAPHORE:
            left.setdefault(post, []).append(i)
    return _packed(found)


def _packed(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both columns; one post alone is in the first."""
    lonely = found[:, 0] == NO_TASK
    first = np.where(lonely, found[:, 1], found[:, 0])
    return first, np.ascontiguousarray(np.where(lonely, NO_TASK, found[:, 1]))
