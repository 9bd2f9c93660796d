"""What is installed: every package of the tree, and nothing but tiledsl at the top."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = {"tiledsl": "tiledsl", "backends": "tiledsl.backends", "kernels": "tiledsl.kernels"}


def test_every_package_is_listed_and_every_listed_one_is_there() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    found = [
        ".".join([name, *path.parent.relative_to(ROOT / folder).parts])
        for folder, name in FOLDERS.items()
        for path in (ROOT / folder).rglob("__init__.py")
    ]
    assert sorted(listed) == sorted(found)
    assert all(name.split(".")[0] == "tiledsl" for name in listed)
