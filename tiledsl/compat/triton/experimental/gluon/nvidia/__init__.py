"""Arguments of Gluon kernels, described on the host."""
