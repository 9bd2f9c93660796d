"""What is kept on disk between processes: files that belong to this user, whole or not there at all.

A sealed file is a first line, the SHA-256 of the rest, and the rest; it is read only if it belongs to this user and its
checksum holds. It is written to a side file and renamed. Whatever is wrong, a reader gets None and makes the thing again.
"""

from __future__ import annotations

import os
import stat
import threading
import time
import warnings
from contextlib import suppress
from functools import cache

from .digest import sha256

_CHECKSUM = sha256().digest_size
USED = 3600  # seconds: the time at which a file was used is kept this exactly, as that of its last change


def usable_directory(root: str) -> str | None:
    """The directory of kernels under a root, made if needed, if it is this user's alone; else None, with one warning.

    A root may begin with ~, the user's home."""
    root = os.path.expanduser(root)
    directory = os.path.join(root, "kernels")
    if root.startswith("~"):  # no HOME, and a user that the system does not know, as in some containers
        return _give_up(directory, "this user has no home directory")
    try:
        os.makedirs(root, exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(directory, mode=0o700)
        found = os.lstat(directory)
        if not stat.S_ISDIR(found.st_mode) or not _is_mine(found):
            return _give_up(directory, "it is not a directory of this user")
        if stat.S_IMODE(found.st_mode) & 0o077 and os.name == "posix":
            os.chmod(directory, 0o700)
    except OSError as error:
        return _give_up(directory, error.strerror or str(error))
    return directory


def _is_mine(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


@cache
def _give_up(directory: str, why: str) -> None:
    warnings.warn(f"kernels are not kept on disk: {directory}: {why} (TILEDSL_CACHE_DIR names another place)", stacklevel=2)


def load(path: str) -> bytes | None:
    """The bytes of a regular file of this user; None if there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or not _is_mine(found):
            return None
        with open(handle, "rb", closefd=False) as file:
            data = file.read()
        if time.time() - found.st_mtime > USED:
            with suppress(OSError):  # of a disk that is only read
                os.utime(path)
        return data
    except OSError:
        return None
    finally:
        os.close(handle)


def save(path: str, data: bytes) -> None:
    """Write a file so that a reader sees all of it or none; where that fails, the next process does without."""
    directory, name = os.path.split(path)
    aside = os.path.join(directory, f".{name}.{os.getpid()}.{threading.get_ident()}")
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(aside, path)
        except BaseException:
            os.unlink(aside)
            raise
    except OSError as error:
        _give_up(directory, error.strerror or str(error))


def trim(directory: str, suffix: str, limit: int) -> None:
    """Remove what was not used for longest until three quarters of so many bytes are left, if there are more; 0: never.

    Another process may read, write or trim at the same time: who has opened a file reads it to its end, and what is gone
    is made again. Side files of processes that ended while writing go after some time."""
    if not limit:
        return
    found, total, now = [], 0, time.time()
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(OSError):
                facts = entry.stat(follow_symlinks=False)
                if entry.name.startswith(".") and now - facts.st_mtime > USED:
                    os.unlink(entry.path)
                elif entry.name.endswith(suffix):
                    found.append((facts.st_mtime, facts.st_size, entry.path))
                    total += facts.st_size
    if total <= limit:
        return
    for _, size, path in sorted(found):
        if total <= limit * 3 // 4:
            break
        with suppress(OSError):
            os.unlink(path)
        total -= size


def sealed(magic: bytes, body: bytes) -> bytes:
    """Contents under a first line and their checksum."""
    return magic + sha256(body).digest() + body


def unsealed(magic: bytes, data: bytes) -> bytes | None:
    """The contents, if they are whole and under this first line."""
    start = len(magic) + _CHECKSUM
    body = data[start:]
    if not data.startswith(magic) or sha256(body).digest() != data[len(magic) : start]:
        return None
    return body
