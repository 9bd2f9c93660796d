"""Layouts of shared memory, as Gluon names them."""
