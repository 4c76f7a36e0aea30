"""CAM methods, the view they share, and the pipeline that turns them into maps."""
