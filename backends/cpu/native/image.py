"""Native code as bytes that can be kept: an image, or an object file where there is no image."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Image:
    """Code with names: of places in it, and of places outside whose addresses belong into its slots."""

    code: bytes
    entries: dict[str, int] = field(default_factory=dict)  # offsets of functions
    imports: dict[str, int] = field(default_factory=dict)  # offsets of slots
    is_object: bool = False  # an object file, for LLVM's loader: its names are inside

    def encode(self) -> bytes:
        """The image as bytes."""
        head = json.dumps([self.entries, self.imports, self.is_object]).encode()
        return _LENGTH.pack(len(head)) + head + self.code


def decode(data: bytes) -> Image:
    """The image in bytes that `encode` made."""
    end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    entries, imports, is_object = json.loads(data[_LENGTH.size : end])
    return Image(data[end:], entries, imports, is_object)
