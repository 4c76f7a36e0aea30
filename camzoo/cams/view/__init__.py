"""How a network is looked into: cut behind a layer, run once, shared by all methods."""
