"""The version of tiledsl; in a file of its own so that building a package imports nothing else."""

__version__ = "0.1.0"
