"""From Python functions to tile programs: function.py before anything is compiled, lower.py when it is."""
