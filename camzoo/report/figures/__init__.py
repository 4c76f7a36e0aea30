"""Pictures of a report for papers: a column wide, the same byte for byte from the same runs."""
