"""Hooks and middleware of the plugin `static`."""
