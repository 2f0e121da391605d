"""Middleware of the plugin `static`."""
