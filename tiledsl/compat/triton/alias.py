"""`import triton` as another name of this package: the same module objects under both names."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

NAME = "triton"
OURS = __package__
APART = ("pytest", "run", "_internal_testing")  # entries of their own, and what needs torch: found when asked for


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds triton.x as the module x of this package, if it has one."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != NAME and not name.startswith(NAME + "."):
            return None
        ours = OURS + name[len(NAME) :]
        try:
            found = importlib.import_module(ours)
        except ModuleNotFoundError as error:
            if error.name and (ours == error.name or ours.startswith(error.name + ".")):
                return None
            raise
        return importlib.util.spec_from_loader(name, self, is_package=hasattr(found, "__path__"))

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        sys.modules[name] = sys.modules[OURS + name[len(NAME) :]]


def install() -> None:
    """Make `import triton` give this package, in this process, from now on."""
    present = sys.modules.get(NAME)
    if present is sys.modules[OURS]:
        return
    if present is not None:
        where = getattr(present, "__file__", None) or "an unknown place"
        raise ImportError(f"`triton` is already imported, from {where}: call tiledsl.compat.triton.install() before anything imports it")
    # all modules at once: importing one later would set its name in its parent, over the objects that share names with
    # modules (triton.runtime.driver)
    for name in modules():
        try:
            sys.modules[NAME + name] = importlib.import_module(OURS + name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith(OURS.partition(".")[0]):
                raise
            # it needs a package that is not here, such as torch; whoever imports it will be told so
    sys.meta_path.insert(0, _Finder())


def modules() -> list[str]:
    """ "", ".language", ".language.core" and so on: every module of this package that stands for one of Triton."""
    package = sys.modules[OURS]
    found = [m.name.removeprefix(OURS) for m in pkgutil.walk_packages(package.__path__, OURS + ".")]
    return ["", *(name for name in found if name.removeprefix(".") not in (*APART, "alias"))]
