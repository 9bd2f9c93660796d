"""Native code as bytes that can be kept: an image, or an object file where there is no image."""

from __future__ import annotations

import struct
from dataclasses import field

from tiledsl.record import Record

_LENGTH = struct.Struct("<I")


class Image(Record):
    """Code with names: of places in it, and of places outside whose addresses belong into its slots."""

    code: bytes
    entries: dict[str, int] = field(default_factory=dict)  # offsets of functions
    imports: dict[str, int] = field(default_factory=dict)  # offsets of slots
    is_object: bool = False  # an object file, for LLVM's loader: its names are inside

    def encode(self) -> bytes:
        """The image as bytes."""
        lines = [f"{kind} {name} {at}" for kind, names in (("in", self.entries), ("out", self.imports)) for name, at in names.items()]
        head = "\n".join(["object" if self.is_object else "image", *lines]).encode()
        return _LENGTH.pack(len(head)) + head + self.code


def decode(data: bytes) -> Image:
    """The image in bytes that `encode` made."""
    end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    first, *lines = data[_LENGTH.size : end].decode().splitlines()
    names: dict[str, dict[str, int]] = {"in": {}, "out": {}}
    for line in lines:
        kind, name, at = line.split()
        names[kind][name] = int(at)
    return Image(data[end:], names["in"], names["out"], first == "object")
