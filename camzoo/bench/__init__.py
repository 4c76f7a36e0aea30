"""The harness: stages, the store of their results, and the plan that runs them."""
