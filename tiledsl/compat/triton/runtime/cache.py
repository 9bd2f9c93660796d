"""Files kept under a key: the classes that programs name or derive from. Compiled kernels have a cache of their own."""

from __future__ import annotations

import json
import os
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from ....runtime.cache import compiler_version
from .. import knobs


class CacheManager(ABC):
    """Files of one key."""

    def __init__(self, key: str, override: bool = False, dump: bool = False):
        self.key = key

    @abstractmethod
    def get_file(self, filename: str) -> str | None:
        """The path of a file, if there is one."""

    @abstractmethod
    def put(self, data: Any, filename: str, binary: bool = True) -> str:
        """Write a file and give its path."""

    @abstractmethod
    def get_group(self, filename: str) -> dict[str, str] | None:
        """The paths of files that were put together."""

    @abstractmethod
    def put_group(self, filename: str, group: dict[str, str]) -> None:
        """Remember files as belonging together."""


class FileCacheManager(CacheManager):
    """Files in a directory per key."""

    def __init__(self, key: str, override: bool = False, dump: bool = False):
        super().__init__(key, override, dump)
        root = knobs.cache.dump_dir if dump else knobs.cache.override_dir if override else knobs.cache.dir
        self.cache_dir = Path(root) / key
        self.cache_dir.mkdir(parents=True, exist_ok=True)

    def has_file(self, filename: str) -> bool:
        return (self.cache_dir / filename).exists()

    def get_file(self, filename: str) -> str | None:
        return str(self.cache_dir / filename) if self.has_file(filename) else None

    def put(self, data: Any, filename: str, binary: bool = True) -> str:
        content = data if isinstance(data, bytes) else str(data).encode()
        handle, aside = tempfile.mkstemp(dir=self.cache_dir)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(aside, self.cache_dir / filename)
        return str(self.cache_dir / filename)

    def get_group(self, filename: str) -> dict[str, str] | None:
        found = self.get_file(f"__grp__{filename}")
        if found is None:
            return None
        group = json.loads(Path(found).read_text())["child_paths"]
        return group if all(os.path.exists(path) for path in group.values()) else None

    def put_group(self, filename: str, group: dict[str, str]) -> None:
        self.put(json.dumps({"child_paths": group}), f"__grp__{filename}")


class RemoteCacheBackend(ABC):
    """A store shared between machines."""

    def __init__(self, key: str):
        self.key = key

    @abstractmethod
    def get(self, filenames: list[str]) -> dict[str, bytes]:
        """The contents there are."""

    @abstractmethod
    def put(self, filename: str, data: bytes) -> None:
        """Keep a content."""


class RedisRemoteCacheBackend(RemoteCacheBackend):
    """A store in Redis; the `redis` package is imported when one is made."""

    def __init__(self, key: str):
        super().__init__(key)
        import redis

        self._redis = redis.Redis(host=knobs.redis.host, port=knobs.redis.port)
        self._format = knobs.redis.key_format

    def get(self, filenames: list[str]) -> dict[str, bytes]:
        found = self._redis.mget([self._format.format(key=self.key, filename=f) for f in filenames])
        return {name: data for name, data in zip(filenames, found, strict=True) if data is not None}

    def put(self, filename: str, data: bytes) -> None:
        self._redis.set(self._format.format(key=self.key, filename=filename), data)


class RemoteCacheManager(CacheManager):
    """Files of a shared store, kept in a local directory as they are used."""

    def __init__(self, key: str, override: bool = False, dump: bool = False):
        super().__init__(key, override, dump)
        backend = knobs.cache.remote_manager_class
        if backend is None:
            raise RuntimeError("no remote cache is set: TRITON_REMOTE_CACHE_BACKEND=module:class")
        self._backend, self._local = backend(key), FileCacheManager(key, override, dump)

    def get_file(self, filename: str) -> str | None:
        found = self._backend.get([filename]).get(filename)
        return None if found is None else self._local.put(found, filename)

    def put(self, data: Any, filename: str, binary: bool = True) -> str:
        self._backend.put(filename, data if isinstance(data, bytes) else str(data).encode())
        return self._local.put(data, filename, binary)

    def get_group(self, filename: str) -> dict[str, str] | None:
        group = self.get_file(f"__grp__{filename}")
        if group is None:
            return None
        paths = {name: self.get_file(name) for name in json.loads(Path(group).read_text())}
        return None if None in paths.values() else {name: path for name, path in paths.items() if path is not None}

    def put_group(self, filename: str, group: dict[str, str]) -> None:
        self.put(json.dumps(sorted(group)), f"__grp__{filename}")


def triton_key() -> str:
    """Tells this compiler from every other."""
    return compiler_version()


def get_cache_manager(key: str) -> CacheManager:
    """The manager that the settings name."""
    return (knobs.cache.manager_class or FileCacheManager)(key)


def get_dump_manager(key: str) -> CacheManager:
    return (knobs.cache.manager_class or FileCacheManager)(key, dump=True)


def get_override_manager(key: str) -> CacheManager:
    return (knobs.cache.manager_class or FileCacheManager)(key, override=True)
