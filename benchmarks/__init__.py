"""Times and differences beside the field's libraries; results stand in RESULTS.md."""
