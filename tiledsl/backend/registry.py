"""Backends by name: those that come with tiledsl, and any that a package offers as an entry point `tiledsl.backends`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import cast

from .. import config, epoch, forks
from ..collecting import rarely
from ..errors import LaunchError, nearest
from .base import Backend, Program

BUILT_IN = {  # entry points are absent in a bare checkout
    "interpreter": "tiledsl.backends.interpreter:Backend",
    "cpu": "tiledsl.backends.cpu:Backend",
    "npu": "tiledsl.backends.npu:Backend",
}

_registered: dict[str, Backend] = {}
_variants: dict[tuple[Backend, str, str], Backend] = {}  # by what made it, name and machine: a file may change
_default: str | None = None


def register(backend: Backend) -> None:
    """Make a backend object known under its name in this process."""
    _registered[backend.name] = backend
    epoch.advance()


@contextmanager
def standing_in(backend: Backend) -> Iterator[None]:
    """Known under its name for a while; then whoever had the name before has it again."""
    before = _registered.get(backend.name)
    register(backend)
    try:
        yield
    finally:
        if before is None:
            del _registered[backend.name]
            epoch.advance()
        else:
            register(before)


def names() -> list[str]:
    """All backends that can be asked for."""
    return sorted({*_registered, *BUILT_IN, *_entry_points()})


def _entry_points() -> dict[str, str]:
    """What installed packages offer, by name."""
    from importlib.metadata import entry_points  # a fifth of the time that `import tiledsl` takes, and rarely needed

    return {e.name: e.value for e in entry_points(group="tiledsl.backends")}


def use(name: str) -> None:
    """Make a backend the default of this process."""
    find(name)
    global _default
    _default = name


@contextmanager
def using(name: str) -> Iterator[None]:
    """The default for a while."""
    global _default
    before = _default
    use(name)
    try:
        yield
    finally:
        _default = before


def default() -> str:
    """The backend of a launch that names none: the last `use`, else TILEDSL_BACKEND."""
    return config.backend() if _default is None else _default


def find(name: str) -> Backend:
    """The backend of this name; LaunchError lists those there are."""
    if not isinstance(name, str):
        raise LaunchError(f"`backend` is {name!r}", notes=[f"backends: {', '.join(names())}"], help="pass a name")
    return _registered.get(name) or (_variant(name) if ":" in name else _load(name))


def texts(program: Program) -> Mapping[str, str]:
    """The stages of a program for people, as its backend lists them."""
    listed = getattr(find(program.backend), "stages", None)
    return program.text if listed is None else cast("Mapping[str, str]", listed(program))


def _variant(name: str) -> Backend:
    """One machine of a backend that has several: what follows the colon names it, or is a file that describes it."""
    base, _, machine = name.partition(":")
    backend = find(base)
    make = getattr(backend, "variant", None)
    if make is None:
        raise LaunchError(f"`{base}` has no machines to choose from", help=f"leave `:{machine}` out")
    made = cast(Backend, make(machine))
    return made if made is backend else _kept(backend, name, made)


def _kept(base: Backend, name: str, made: Backend) -> Backend:
    """The first backend made for a machine: a kernel that was compiled for it is not compiled again."""
    key = (base, name, repr(made.machine))
    return _variants.setdefault(key, made)


def _distribution(name: str) -> str:
    """The installed package that offers a backend."""
    from importlib.metadata import entry_points  # see _entry_points

    found = [e.dist.name for e in entry_points(group="tiledsl.backends") if e.name == name and e.dist is not None]
    return found[-1] if found else "a package"


@cache
def _load(name: str) -> Backend:
    target = BUILT_IN.get(name) or _entry_points().get(name)
    if target is None:
        raise LaunchError(
            f"there is no backend `{name}`",
            notes=[f"backends: {', '.join(names())}"],
            help=nearest(name, names()) or "leave `backend` out, or name one of these",
        )
    module, _, attribute = target.partition(":")
    with forks.lock, rarely():
        try:
            return cast(Backend, getattr(import_module(module), attribute)())
        except (ImportError, AttributeError) as error:
            if name in BUILT_IN:
                raise
            raise LaunchError(
                f"the backend `{name}` cannot be loaded: {type(error).__name__}: {error}",
                notes=[f"`{_distribution(name)}` offers it as the entry point {name} = {target}"],
                help="install that package anew, or remove it",
            ) from error
