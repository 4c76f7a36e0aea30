"""MR-like volumes made from a seed: anatomy, image formation, and nothing read from disk."""
