"""Our own native code, written as LLVM's text beside this file: compiled once per machine, and kept on disk."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tiledsl import config, files
from tiledsl.digest import sha256

from ..host import host
from .image import decode
from .load import Mapped, loaded

if TYPE_CHECKING:
    from ..engine import Linked

MODULES = {"launch": ("launch.ll", "arguments.ll"), "pool": ("pool.ll", "system.ll")}  # by name, files that are one text
MAGIC = b"tiledsl launcher 2\n"


def native(name: str) -> Mapped | Linked:
    """The code of a module; Unloadable where this process does not have what it calls."""
    text = source(name)
    directory = files.usable_directory(config.cache_dir()) if config.cache() else None
    path, body = "", None
    if directory is not None:
        path = os.path.join(directory, f"{sha256(f'{host()!r} {text}'.encode()).hexdigest()}.launcher")
        body = files.unsealed(MAGIC, files.load(path) or b"")
    if body is None:
        from ..engine import compiled  # for what no earlier process has kept

        body = compiled(text, host(), optimised=True).encode()
        if directory is not None:
            files.save(path, files.sealed(MAGIC, body))
    outside = re.findall(r"^declare .* @(\w+)\(", text, re.MULTILINE)
    return loaded(decode(body), lambda: _object_file(text), outside)


def source(name: str) -> str:
    """The text of a module."""
    parts = []
    for part in MODULES[name]:
        with open(os.path.join(os.path.dirname(__file__), part), encoding="utf-8") as file:
            parts.append(file.read())
    return "".join(parts)


def _object_file(text: str) -> bytes:
    """For a platform that refuses images."""
    from ..engine import object_file  # see above

    return object_file(text, host(), optimised=True)
