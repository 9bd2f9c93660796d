"""The shared passes, in order, each with its reason; a pass is a function (kernel, machine) -> kernel."""
