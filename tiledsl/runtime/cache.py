"""Compiled kernels kept: in memory for this process, on disk for the next.

An entry is a sealed file (files.py): the length of a header, the header as `marshal` writes plain data, the binary. Loading one
runs nothing. Whatever is wrong with an entry, the kernel is compiled again; whatever is wrong with the directory, kernels are
kept in memory only.
"""

from __future__ import annotations

import marshal
import os
import sys
import threading
from collections.abc import Callable, Set
from functools import cache

from .. import config, files
from ..backend.base import Backend, Program
from ..digest import sha256
from ..errors import ParseError
from ..ir.parser import parse_type
from ..messages import Message
from ..version import __version__
from .compiled import Compiled

MAGIC = b"tiledsl kernel 2\n"
ASIDE = {"__pycache__", "bench", "docs", "explore", "manual", "testing"}  # folders of the compiler that compiled code does not depend on
OPTIONAL = {"compat"}  # those that it depends on in processes that import them: a third of all sources
LOOKS = "00"  # a key that begins so, one of 256, has the size of the directory looked at: a look takes 0.2 s where there are 60,000 files


class Cache:
    """Entries by key; a key is built once at a time, whatever the number of threads."""

    def __init__(self, directory: Callable[[], str] = config.cache_dir) -> None:
        self._directory = directory  # asked for at every miss: it may change while a process runs
        self._kept: dict[str, Compiled] = {}
        self.after_fork()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.after_fork)

    def after_fork(self) -> None:
        """New locks: another thread may have held one when the process was copied."""
        self._guard = threading.Lock()
        self._building: dict[str, threading.Lock] = {}

    def clear(self) -> None:
        """Forget what is kept in memory."""
        self._kept.clear()

    def get(self, key: str, build: Callable[[], Compiled]) -> Compiled:
        """The entry of a key: from memory, from disk, or built and then kept."""
        found = self._kept.get(key)
        if found is not None:
            return found
        with self._guard:
            lock = self._building.setdefault(key, threading.Lock())
        with lock:
            found = self._kept.get(key)
            if found is None:
                found = self._kept[key] = self._load_or_build(key, build)
        with self._guard:
            self._building.pop(key, None)
        return found

    def _load_or_build(self, key: str, build: Callable[[], Compiled]) -> Compiled:
        if _observed() or not config.cache():
            return build()
        directory = files.usable_directory(self._directory())
        if directory is None:
            return build()
        size = config.cache_size() << 20  # asked for always, so that one that cannot be meant is told
        path = os.path.join(directory, f"{key}.kernel")
        found = load(path, key)
        if found is None:
            found = build()
            files.save(path, encode(found))
            if key.startswith(LOOKS):
                files.trim(directory, ".kernel", size)
        return found


def _observed() -> bool:
    """Whether the environment asks to watch the passes: then they have to run."""
    return bool(config.show() or config.stop_after() or config.time_passes() or config.verify() or config.notes())


kernels = Cache()


# --- entries


def load(path: str, key: str) -> Compiled | None:
    """The entry in a file; None if there is none, or none that is whole, current and this user's."""
    data = files.load(path)
    return None if data is None else decode(data, key)


def encode(compiled: Compiled) -> bytes:
    """An entry as bytes."""
    p = compiled.program
    header = {
        "key": compiled.key,
        "backend": p.backend,
        "name": p.name,
        "params": [str(t) for t in p.params],
        "stored": compiled.stored,
        "messages": tuple(m.record() for m in compiled.messages),
        "text": dict(p.text),
    }
    head = marshal.dumps(header)
    return files.sealed(MAGIC, len(head).to_bytes(8, "little") + head + p.binary)


def decode(data: bytes, key: str) -> Compiled | None:
    """The entry in bytes, if they are whole and of this key."""
    body = files.unsealed(MAGIC, data)
    if body is None:
        return None
    size = int.from_bytes(body[:8], "little")
    try:
        header = marshal.loads(body[8 : 8 + size])
        if header["key"] != key:
            return None
        params = tuple(parse_type(t) for t in header["params"])
        program = Program(header["backend"], header["name"], params, body[8 + size :], header["text"])
        return Compiled(program, tuple(header["stored"]), key, tuple(map(Message.of, header["messages"])))
    except (ValueError, EOFError, KeyError, TypeError, ParseError):
        return None


# --- keys


def key_of(fingerprint: str, signature: str, target: str, backend: Backend) -> str:
    """A digest of all that compiled code depends on."""
    parts = (fingerprint, signature, target, repr(backend.machine), compiler_version(), backend_version(type(backend)))
    return sha256("\0".join(parts).encode()).hexdigest()


def compiler_version() -> str:
    """Tells this compiler from every other: its version, its sources, and the Python that reads the kernels."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folders = [root, *(os.path.join(root, name) for name in sorted(OPTIONAL) if f"tiledsl.{name}" in sys.modules)]
    return f"{__version__} {sys.version_info[:3]} {' '.join(map(_stamp_now, folders))}"


@cache
def _stamp_now(path: str) -> str:
    """The stamp of sources of the compiler as they were when this process first asked."""
    return _stamp(path, ASIDE | OPTIONAL)


@cache
def backend_version(kind: type) -> str:
    """Tells apart versions of a backend: its sources and those of what it is built on, all of them where it is a package."""
    return " ".join(_sources_version(base) for base in kind.__mro__ if base is not object)


def _sources_version(kind: type) -> str:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is None:
        return kind.__qualname__
    here = os.path.dirname(os.path.abspath(file))
    package = os.path.exists(os.path.join(here, "__init__.py"))  # the class may stand in any file of it
    return f"{kind.__module__}.{kind.__qualname__} {_stamp(here if package else file)}"


def _stamp(path: str, aside: Set[str] = ASIDE) -> str:
    """A digest of names, sizes and times of the sources at a path: what Python goes by when it keeps bytecode."""
    found: list[tuple[str, int, int]] = []
    try:
        if os.path.isdir(path):
            _list_sources(path, found, aside)
        else:
            about = os.stat(path)
            found.append((path, about.st_size, about.st_mtime_ns))
    except OSError:  # run from an archive, say: the path has to do
        pass
    return sha256(repr((path, sorted(found))).encode()).hexdigest()


def _list_sources(folder: str, found: list[tuple[str, int, int]], aside: Set[str]) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                about = entry.stat()
                found.append((entry.path, about.st_size, about.st_mtime_ns))
            elif entry.name not in aside and entry.is_dir():
                _list_sources(entry.path, found, ASIDE)
