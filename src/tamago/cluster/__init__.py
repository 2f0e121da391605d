"""The cluster: master, nest, agent and workers as processes. Knows no framework."""
