"""Weakly supervised baselines, plugged into camzoo from outside like any third party's."""
