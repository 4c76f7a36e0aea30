"""From maps and masks to result rows: sweep, choose a threshold, measure."""
