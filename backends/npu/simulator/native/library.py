"""Where native functions come from: made when an instruction has shown that it is worth it, kept on disk, loaded once per process.

Making one takes LLVM some milliseconds, and the reference interpreter some microseconds. So an instruction is left to the
latter the first few times, unless its function is on disk. The loop, and what every program needs, are one module.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from functools import cache

from tiledsl import config, files

from ....cpu.engine import Linked, compiled, object_file
from ....cpu.host import host
from ....cpu.native.image import decode
from ....cpu.native.load import Mapped, loaded
from . import arrange, folds, layout, product, scalars, tiles, transfers
from .checks import CHECKS
from .dispatch import dispatcher
from .functions import ENTRY, Key, text_of
from .write import Function, joined

WRITTEN = (arrange, folds, product, scalars, tiles, transfers)  # importing them registers what they write
MAGIC = b"tiledsl simulator 2\n"
PATIENCE = 20  # how often an instruction runs without a function of its own
# what every program needs: one function for all types
COMMON = (
    *("movi", "movhi", "mov", "addr", "jump", "jumpz", "jumpnz", "halt", "barrier", "nop", "pid", "npid", "arg"),
    *("tset", "tdim", "tadv", "tstep", "gset", "gdim", "gbox", "gfill"),
)

_known: dict[Key, int] = {}
_kept: list[Mapped | Linked] = []  # code lives as long as these
_asked: Counter[Key] = Counter()


@cache
def base() -> Mapped | Linked:
    """The loop `run`, functions that look at tiles, those of common instructions, and two that return to Python."""
    texts = [dispatcher(), *(make().done() for make in CHECKS.values()), *(text_of((name, (), (), -1), name) for name in COMMON)]
    texts += [Function(name).done(status) for name, status in (("fall_back", layout.FALL_BACK), ("unresolved", layout.RESOLVE))]
    text = joined(texts)
    return _on_disk(text) or _made(text)


def function(key: Key, patience: int = 0) -> int | None:
    """The address of an instruction's function for one set of types; None if it has not been asked for so often yet."""
    address = _known.get(key)
    if address is None:
        if key[0] in COMMON:
            address = base().address(key[0])
        elif not (text := text_of(key)):
            address = base().address("fall_back")
        else:
            code = None if key in _asked else _on_disk(text)
            if code is None:
                _asked[key] += 1
                if _asked[key] <= patience:
                    return None
                code = _made(text)
            _kept.append(code)
            address = code.address(ENTRY)
        _known[key] = address
    return address


def _path(text: str) -> str:
    directory = files.usable_directory(config.cache_dir()) if config.cache() else None
    name = hashlib.sha256(f"{host()!r} {text}".encode()).hexdigest()
    return "" if directory is None else os.path.join(directory, f"{name}.simulator")


def _on_disk(text: str) -> Mapped | Linked | None:
    """The code of a text, if it has been made before: it is found by what it was made from."""
    path = _path(text)
    body = files.unsealed(MAGIC, files.load(path) or b"") if path else None
    return None if body is None else loaded(decode(body), lambda: object_file(text, host()))


def _made(text: str) -> Mapped | Linked:
    """The code of a text, made by LLVM."""
    image, path = compiled(text, host()), _path(text)
    if path:
        files.save(path, files.sealed(MAGIC, image.encode()))
    return loaded(image, lambda: object_file(text, host()))
