"""Configuration every application has."""
