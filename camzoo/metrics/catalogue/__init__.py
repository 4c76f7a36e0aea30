"""The metrics that camzoo brings, one class each; registered by name, found without a list."""
