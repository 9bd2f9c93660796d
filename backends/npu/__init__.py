"""The T1 machine: a modelled tile accelerator with real instruction words, a simulator and a cycle count."""
