"""Somebody else's rows: predictions packed by them, scored again here."""
