"""Mutated kernels: a kernel that makes no sense ends in a diagnostic or a result, never in a crash of the compiler.

`sources` finds the kernels of files and takes each out of its file, `arguments` guesses what it can be called with,
`mutations` spoils it, `trial` compiles and runs what came out, `runner` does so in worker processes and tells what failed.
"""
