"""A worker's HTTP edge. Knows no processes and no framework."""
