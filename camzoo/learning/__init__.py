"""How networks learn: one loop, random views, checkpoints."""
