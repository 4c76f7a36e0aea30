"""The harness: stages, the store of their results, and the run that calls them."""
