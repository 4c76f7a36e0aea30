"""A report as web pages that are opened from disk: no server, no network."""
