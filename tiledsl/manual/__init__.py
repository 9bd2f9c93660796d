"""The manual: pages of the language reference, written from the declarations of ops, functions, types and variables."""

from .pages import FOLDER, pages, publish, write
from .text import op_entry

__all__ = ["FOLDER", "op_entry", "pages", "publish", "write"]
