"""Profiles of launches that one does not call oneself: those of a script, printed, written down, or ranked by their roof."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ..backend import registry
from ..backends.npu import Backend
from ..backends.npu.timing.profile import Profile
from ..backends.npu.timing.text import SUMMARY, summary
from .named import machine_named

__all__ = ["Profile", "printed", "ranked", "watch", "written"]

Tell = Callable[[Profile], None]


def watch(machine: str, tell: Tell, run: Callable[[], int]) -> int:
    """Run something whose launches go to a machine, unless they name a backend; `tell` hears the profile of each on any npu."""
    found = machine_named(machine)
    name = machine if machine in registry.names() else "npu" if found.name == "t1-base" else f"npu:{machine}"
    count = 0

    def told(profile: Profile) -> None:
        nonlocal count
        count += 1
        tell(profile)

    with ExitStack() as heard:
        for backend in {"npu": Backend(), name: registry.find(name)}.values():
            heard.enter_context(registry.standing_in(backend.telling(told)))  # type: ignore[attr-defined]
        heard.enter_context(registry.using(name))
        code = run()
    if not count and not code:
        print("nothing was launched on npu", "help: launches that name another backend run there", sep="\n", file=sys.stderr)
        return 1
    return code


def printed(profile: Profile) -> None:
    """The text of a profile."""
    print(profile, end="\n\n", flush=True)


def written(folder: Path) -> Tell:
    """Two files for each launch, numbered, in a folder that there is."""
    count = 0

    def tell(profile: Profile) -> None:
        nonlocal count
        name = f"{count:03}-{profile.kernel}"
        print(profile.trace(folder / f"{name}.json.gz"), profile.html(folder / f"{name}.html"), sep="\n", flush=True)
        count += 1

    return tell


def ranked() -> Tell:
    """A row for each launch, below a head."""
    begun = False

    def tell(profile: Profile) -> None:
        nonlocal begun
        if not begun:
            print(SUMMARY)
        begun = True
        print(summary(profile), flush=True)

    return tell
