"""Runs decoded words on a modelled core."""
