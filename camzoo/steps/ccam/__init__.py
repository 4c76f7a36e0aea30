"""C-CAM (Chen et al., CVPR 2022): its causal steps, and controls that tell what each does."""
