"""Tests of applications: an in-process client, mocks that restore themselves, and a real cluster."""
