"""A smaller mutant with the same fault: statements go as long as the fault stays. Each attempt runs in a child process."""

from __future__ import annotations

import ast
import copy
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from . import trial


def smallest(mutant: trial.Mutant, outcome: trial.Outcome, backends: Sequence[str]) -> str:
    """The text of the mutant without what the fault does not need."""
    text, changed = mutant.text, True
    wanted = _kind(outcome)
    while changed:
        changed = False
        for smaller in _smaller(text):
            if _kind(_apart(replace(mutant, text=smaller), backends)) == wanted:
                text, changed = smaller, True
                break
    return text


def _kind(outcome: trial.Outcome) -> str:
    return ":".join(outcome.detail.split(":")[:3]) if outcome.is_fault else ""


def _smaller(text: str) -> Iterator[str]:
    """The text without one statement, or with a compound one replaced by its body; from the end."""
    tree = ast.parse(text)
    count = len(list(_places(tree)))
    for at in reversed(range(count)):
        for lifted in (False, True):
            other = copy.deepcopy(tree)
            body, index = list(_places(other))[at]
            inner: list[ast.stmt] = getattr(body[index], "body", [])
            if lifted and (not inner or isinstance(body[index], ast.FunctionDef | ast.ClassDef)):
                continue
            body[index : index + 1] = inner if lifted else []
            if body:
                yield ast.unparse(other) + "\n"


def _places(tree: ast.Module) -> Iterator[tuple[list[ast.stmt], int]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            held = getattr(node, name, None)
            if isinstance(held, list) and held and isinstance(held[0], ast.stmt):
                yield from ((held, i) for i in range(len(held)))


def _apart(mutant: trial.Mutant, backends: Sequence[str]) -> trial.Outcome:
    """The outcome in a child process, which may crash or hang."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)

    def child(pipe: Any) -> None:
        pipe.send(trial.attempt(mutant, backends))

    process = context.Process(target=child, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        if mine.poll(3 * trial.COMPILING):
            found: trial.Outcome = mine.recv()
            return found
        return trial.Outcome("fault", "hang in native code")
    except EOFError:
        process.join()
        return trial.Outcome("fault", f"crash: exit code {process.exitcode}")
    finally:
        if process.is_alive():
            process.kill()
        process.join()
