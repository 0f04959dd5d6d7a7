"""`make bench`: what Tenarai costs, as ratios to what could do the same, measured side by side in one run."""
