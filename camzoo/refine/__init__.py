"""From coarse maps to maps that follow the edges of the image."""
