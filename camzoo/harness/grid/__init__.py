"""Grids: many runs in one file, their cells done in any order and on any machine."""
