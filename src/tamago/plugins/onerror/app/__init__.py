"""Hooks of the plugin `onerror`."""
