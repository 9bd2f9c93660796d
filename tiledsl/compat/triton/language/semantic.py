"""Kept for code that names it: typing and promotion are in tiledsl.language.coerce."""

from ....language.coerce import broadcast, cast, promoted
