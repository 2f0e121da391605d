"""Plugins that come with tamago, loaded like anybody's."""
