"""Numbers: overlap, surface distances, threshold sweeps, statistics."""
