"""What `triton.profiler` (proton) offers: where the time goes, by scopes and kernels, in a file of hatchet's format.

    proton.start("name"); with proton.scope("forward"): ...; proton.finalize()      writes name.hatchet

Times are of the wall, in ns, of scopes and of the launches in them; a launch's metadata of the names that Triton gives such
figures (flops, bytes, and flops8 to flops64) are summed beside it. What steers a GPU's counters is accepted and ignored.
"""

from __future__ import annotations

import functools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from . import knobs

DEFAULT_PROFILE_NAME = "proton"
FIGURES = ("flops", "bytes", "flops8", "flops16", "flops32", "flops64")


@dataclass
class Node:
    """A scope or a kernel, with what was measured in it and the nodes inside."""

    name: str
    metrics: Counter[str] = field(default_factory=Counter)
    inner: dict[str, Node] = field(default_factory=dict)

    def at(self, name: str) -> Node:
        """The node of a name inside."""
        return self.inner.setdefault(name, Node(name))

    def told(self) -> dict[str, Any]:
        """As hatchet reads it."""
        frame = {"name": self.name, "type": "function"}
        return {"frame": frame, "metrics": dict(self.metrics), "children": [node.told() for node in self.inner.values()]}


@dataclass
class Session:
    """One profile: the tree so far, and the scopes that are open."""

    name: str
    root: Node = field(default_factory=lambda: Node("ROOT"))
    open: list[tuple[Node, int]] = field(default_factory=list)
    active: bool = True

    def enter(self, name: str, figures: Mapping[str, Any] | None = None) -> None:
        node = (self.open[-1][0] if self.open else self.root).at(name)
        node.metrics.update(figures or {})
        self.open.append((node, time.perf_counter_ns()))

    def leave(self) -> None:
        if self.open:  # a session may begin within a scope
            node, began = self.open.pop()
            node.metrics["time (ns)"] += time.perf_counter_ns() - began
            node.metrics["count"] += 1


_sessions: dict[int, Session] = {}


def _active() -> list[Session]:
    return [session for session in _sessions.values() if session.active]


def _launching(facts: Any) -> None:
    told = facts.get()
    for session in _active():
        session.enter(told["name"], {name: told[name] for name in FIGURES if name in told})


def _launched(facts: Any) -> None:
    exit_scope()


def start(name: str | None = None, **options: Any) -> int:
    """Begin a session; returns its number."""
    if not _sessions:
        knobs.runtime.launch_enter_hook.add(_launching)
        knobs.runtime.launch_exit_hook.add(_launched)
    number = max(_sessions, default=-1) + 1
    _sessions[number] = Session(name or DEFAULT_PROFILE_NAME)
    return number


def _chosen(session: int | None) -> list[int]:
    if session is not None and session not in _sessions:
        raise ValueError(f"there is no session {session}; started: {sorted(_sessions) or 'none'}")
    return [*_sessions] if session is None else [session]


def deactivate(session: int | None = None, flushing: bool = False) -> None:
    """Measure nothing until `activate`; of one session, or of all."""
    for number in _chosen(session):
        _sessions[number].active = False


def activate(session: int | None = None) -> None:
    """Measure again."""
    for number in _chosen(session):
        _sessions[number].active = True


def finalize(session: int | None = None, output_format: str = "hatchet") -> None:
    """End a session, or all, and write what was measured to `<name>.<output_format>`."""
    for number in _chosen(session):
        ended = _sessions.pop(number)
        with open(f"{ended.name}.{output_format}", "w", encoding="utf-8") as file:
            json.dump([ended.root.told()], file)
    if not _sessions:
        for hooks, hook in ((knobs.runtime.launch_enter_hook, _launching), (knobs.runtime.launch_exit_hook, _launched)):
            hooks.remove(hook)


def enter_scope(name: str, *, metrics: Mapping[str, Any] | None = None, **options: Any) -> None:
    """Begin a scope in every session; `metrics` are summed beside its time."""
    for session in _active():
        session.enter(name, metrics)


def exit_scope(*args: Any, **options: Any) -> None:
    """End the innermost scope."""
    for session in _active():
        session.leave()


@contextmanager
def scope(name: str, metrics: Mapping[str, Any] | None = None) -> Iterator[None]:
    """A scope: `with scope("name"):`, or above a function."""
    enter_scope(name, metrics=metrics)
    try:
        yield
    finally:
        exit_scope()


cpu_timed_scope = scope


@contextmanager
def state(name: str) -> Iterator[None]:
    """As `scope`: a state is one more level."""
    with scope(name):
        yield


def profile(func: Callable[..., Any] | None = None, *, name: str | None = None, **options: Any) -> Any:
    """Above a function: a session for each of its calls."""
    if func is None:
        return functools.partial(profile, name=name, **options)

    @functools.wraps(func)
    def measured(*args: Any, **kwargs: Any) -> Any:
        session = start(name)
        try:
            return func(*args, **kwargs)
        finally:
            finalize(session)

    return measured
