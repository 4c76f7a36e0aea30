"""What every room uses: errors, files, progress, the registry, seeds, the machine."""
