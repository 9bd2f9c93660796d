"""Our own native code, written as LLVM's text beside this file: compiled once per machine, and kept on disk."""

from __future__ import annotations

import os
import re

from tiledsl import config, files
from tiledsl.digest import sha256

from ..engine import Linked, compiled, object_file
from ..host import host
from .image import decode
from .load import Mapped, loaded

MAGIC = b"tiledsl launcher 2\n"


def native(name: str) -> Mapped | Linked:
    """The code in a file; Unloadable where this process does not have what it calls."""
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        text = file.read()
    directory = files.usable_directory(config.cache_dir()) if config.cache() else None
    path, body = "", None
    if directory is not None:
        path = os.path.join(directory, f"{sha256(f'{host()!r} {text}'.encode()).hexdigest()}.launcher")
        body = files.unsealed(MAGIC, files.load(path) or b"")
    if body is None:
        body = compiled(text, host(), optimised=True).encode()
        if directory is not None:
            files.save(path, files.sealed(MAGIC, body))
    outside = re.findall(r"^declare .* @(\w+)\(", text, re.MULTILINE)
    return loaded(decode(body), lambda: object_file(text, host(), optimised=True), outside)
