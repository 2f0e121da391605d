"""Ways for two processes on one machine to exchange messages through a third, each measured by the same plan."""
