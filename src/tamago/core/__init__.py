"""Egg's core in Python: load units, plugins ordered by what they depend on, layered configuration, loader and life cycle.

No HTTP and no processes: whoever serves is told by the layer above.
"""
