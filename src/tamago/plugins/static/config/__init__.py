"""Configuration of the plugin `static`."""
