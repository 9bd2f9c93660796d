"""Kept for code that names it."""
