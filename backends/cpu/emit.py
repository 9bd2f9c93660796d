"""LLVM IR as text: a builder with structured loops in which an expression lands in the outermost loop that knows its operands.

While a loop is open its parent's text can still grow, because the loop's own lines are spliced in when it closes. So the
builder keeps a stack of open regions; writing to a shallower one is loop-invariant code motion at the time of emission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Scalar = int | str  # an i64: a known number, or the name of an SSA value


@dataclass
class Region:
    """Lines that will run once per iteration of one loop (or once, for the outermost)."""

    label: str  # of the basic block its end is in
    lines: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)  # pure expressions already computed here
    seen: dict[Any, Any] = field(default_factory=dict)  # what the generator remembers of the current nest


@dataclass
class Loop:
    """An open or finished loop."""

    index: Scalar
    carried: list[str]  # inside: values of this iteration; after the loop: of the last
    next: list[str] = field(default_factory=list)  # to be set before it closes


class Builder:
    """Writes the body of one function."""

    def __init__(self, declared: set[str]):
        self.regions = [Region("entry")]
        self.cursor = 0  # the region that new lines go to
        self.count = 0
        self.declared = declared

    @property
    def depth(self) -> int:
        """The depth of the innermost open region."""
        return len(self.regions) - 1

    @contextmanager
    def at(self, depth: int) -> Iterator[None]:
        """New lines go to the region of this depth."""
        before, self.cursor = self.cursor, depth
        yield
        self.cursor = before

    def name(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def line(self, text: str) -> None:
        self.regions[self.cursor].lines.append(text)

    def effect(self, expression: str) -> str:
        """The value of an expression that must be computed here and now."""
        name = self.name()
        self.regions[self.cursor].lines.append(f"{name} = {expression}")
        return name

    def value(self, expression: str) -> str:
        """The value of a pure expression, computed once per region."""
        for region in self.regions[: self.cursor + 1]:
            found = region.known.get(expression)
            if found is not None:
                return found
        name = self.name()
        region = self.regions[self.cursor]
        region.lines.append(f"{name} = {expression}")
        region.known[expression] = name
        return name

    def call(self, result: str, function: str, *arguments: tuple[str, str], pure: bool = True, immediate: tuple[int, ...] = ()) -> str:
        """Call a function declared by this very use; arguments are (type, value) pairs, some of them immediate."""
        types = (t + " immarg" * (n in immediate) for n, (t, _) in enumerate(arguments))
        self.declared.add(f"declare {result} @{function}({', '.join(types)})")
        text = f"call {result} @{function}({', '.join(f'{t} {v}' for t, v in arguments)})"
        if result == "void":
            self.line(text)
            return ""
        return self.value(text) if pure else self.effect(text)

    # --- i64 arithmetic that folds what is known

    def add(self, x: Scalar, y: Scalar) -> Scalar:
        if isinstance(x, int) and isinstance(y, int):
            return x + y
        if x == 0 or y == 0:
            return y if x == 0 else x
        return self.value(f"add i64 {x}, {y}")

    def sub(self, x: Scalar, y: Scalar) -> Scalar:
        if isinstance(x, int) and isinstance(y, int):
            return x - y
        return x if y == 0 else self.value(f"sub i64 {x}, {y}")

    def mul(self, x: Scalar, y: Scalar) -> Scalar:
        if isinstance(x, int) and isinstance(y, int):
            return x * y
        if x == 0 or y == 0:
            return 0
        if x == 1 or y == 1:
            return y if x == 1 else x
        return self.value(f"mul i64 {x}, {y}")

    def least(self, x: Scalar, y: Scalar) -> Scalar:
        if isinstance(x, int) and isinstance(y, int):
            return min(x, y)
        return self.call("i64", "llvm.smin.i64", ("i64", str(x)), ("i64", str(y)))

    def most(self, x: Scalar, y: Scalar) -> Scalar:
        if isinstance(x, int) and isinstance(y, int):
            return max(x, y)
        return self.call("i64", "llvm.smax.i64", ("i64", str(x)), ("i64", str(y)))

    # --- structure

    def label(self, name: str) -> None:
        """Begin a basic block in the current region."""
        region = self.regions[self.cursor]
        region.lines.append(f"{name}:")
        region.label = name

    def open(self, label: str) -> None:
        """Enter a nested region."""
        self.regions.append(Region(label))
        self.cursor = self.depth

    def close(self) -> Region:
        """Leave the innermost region; its lines are the caller's to place."""
        region = self.regions.pop()
        self.cursor = self.depth
        return region

    @contextmanager
    def loop(self, lo: Scalar, hi: Scalar, step: int = 1, carried: Sequence[tuple[str, str]] = ()) -> Iterator[Loop]:
        """for index in range(lo, hi, step), step > 0, carrying (type, initial value) pairs. One iteration is no loop."""
        if isinstance(lo, int) and isinstance(hi, int) and lo + step >= hi:
            assert lo < hi, "a loop that never runs must not be opened"
            loop = Loop(lo, [v for _, v in carried])
            yield loop
            loop.carried = loop.next
            return
        self.count += 1
        n = self.count
        loop = Loop(f"%i{n}", [f"%c{n}.{k}" for k in range(len(carried))])
        guarded = not (isinstance(lo, int) and isinstance(hi, int))
        self.open(f"H{n}")
        yield loop
        assert self.cursor == self.depth and len(loop.next) == len(carried)
        following = self.effect(f"add i64 {loop.index}, {step}")
        self.line(f"br i1 {self.effect(f'icmp slt i64 {following}, {hi}')}, label %H{n}, label %X{n}")
        body = self.close()
        if guarded:
            self.line(f"br i1 {self.effect(f'icmp slt i64 {lo}, {hi}')}, label %H{n}, label %X{n}")
        else:
            self.line(f"br label %H{n}")
        before = self.regions[self.cursor].label
        self.label(f"H{n}")
        self.line(f"{loop.index} = phi i64 [ {lo}, %{before} ], [ {following}, %{body.label} ]")
        for (kind, first), here, then in zip(carried, loop.carried, loop.next, strict=True):
            self.line(f"{here} = phi {kind} [ {first}, %{before} ], [ {then}, %{body.label} ]")
        self.regions[self.cursor].lines += body.lines
        self.label(f"X{n}")
        loop.carried = [
            self.effect(f"phi {kind} [ {first}, %{before} ], [ {then}, %{body.label} ]")
            if guarded
            else self.effect(f"phi {kind} [ {then}, %{body.label} ]")
            for (kind, first), then in zip(carried, loop.next, strict=True)
        ]

    def when(self, condition: str, kind: str, compute: Callable[[], str], otherwise: str) -> str:
        """compute() where the condition holds, else the other value."""
        return self.branch(condition, [kind], lambda: [compute()], lambda: [otherwise])[0]

    def branch(self, condition: str, kinds: Sequence[str], then: Callable[[], list[str]], otherwise: Callable[[], list[str]]) -> list[str]:
        """The values that one of two pieces of code makes."""
        self.count += 1
        n = self.count
        arms = []
        for label, compute in ((f"T{n}", then), (f"E{n}", otherwise)):
            self.open(label)
            made = compute()
            self.line(f"br label %J{n}")
            arms.append((made, self.close()))
        self.line(f"br i1 {condition}, label %T{n}, label %E{n}")
        for label, (_, arm) in zip((f"T{n}", f"E{n}"), arms, strict=True):
            self.label(label)
            self.regions[self.cursor].lines += arm.lines
        self.label(f"J{n}")
        (x, one), (y, two) = arms
        return [self.effect(f"phi {kind} [ {a}, %{one.label} ], [ {c}, %{two.label} ]") for kind, a, c in zip(kinds, x, y, strict=True)]

    def until(self, kind: str, first: str, attempt: Callable[[str], tuple[str, str]]) -> str:
        """Repeat attempt(seen) -> (next seen, whether it is done); the value seen when it was done."""
        self.count += 1
        n = self.count
        seen = f"%c{n}"
        self.open(f"H{n}")
        following, done = attempt(seen)
        self.line(f"br i1 {done}, label %X{n}, label %H{n}")
        body = self.close()
        self.line(f"br label %H{n}")
        before = self.regions[self.cursor].label
        self.label(f"H{n}")
        self.line(f"{seen} = phi {kind} [ {first}, %{before} ], [ {following}, %{body.label} ]")
        self.regions[self.cursor].lines += body.lines
        self.label(f"X{n}")
        return self.effect(f"phi {kind} [ {following}, %{body.label} ]")

    def repeat(
        self, carried: Sequence[tuple[str, str]], test: Callable[[list[str]], str], step: Callable[[list[str]], list[str]]
    ) -> list[str]:
        """While test(values): values = step(values), from (type, initial value) pairs on; what they are in the end."""
        self.count += 1
        n = self.count
        names = [f"%c{n}.{k}" for k in range(len(carried))]
        self.open(f"H{n}")
        holds = test(names)
        head = self.close()
        self.open(f"B{n}")
        following = step(names)
        body = self.close()
        region = self.regions[-1]
        before = region.label
        self.line(f"br label %H{n}")
        self.label(f"H{n}")
        for name, (kind, first), then in zip(names, carried, following, strict=True):
            self.line(f"{name} = phi {kind} [ {first}, %{before} ], [ {then}, %{body.label} ]")
        region.lines += head.lines
        self.line(f"br i1 {holds}, label %B{n}, label %X{n}")
        self.label(f"B{n}")
        region.lines += body.lines
        self.line(f"br label %H{n}")
        self.label(f"X{n}")
        return names

    def finish(self) -> list[str]:
        """The lines of the whole body."""
        assert self.depth == 0
        return self.regions[0].lines
