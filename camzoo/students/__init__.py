"""What other programs learn from the pseudo-masks of a run."""
