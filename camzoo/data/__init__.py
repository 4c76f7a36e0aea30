"""From files to tagged slices: volumes, data sets, splits, and the wall in front of masks."""
