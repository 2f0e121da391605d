"""Configuration of the plugin `onerror`."""
