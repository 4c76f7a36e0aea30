"""The shared classifier: a timm trunk, which of its levels the head reads, and its weights."""
