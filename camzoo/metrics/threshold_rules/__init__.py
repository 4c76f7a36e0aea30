"""Rules that choose a threshold without any mask, a file each."""
