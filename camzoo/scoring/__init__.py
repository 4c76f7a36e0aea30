"""Masks and maps that were made elsewhere: their files, their cases, their table."""
