"""Fixtures that all tests share; each kind lives beside what it fakes."""

pytest_plugins = ["fake_networks.fixtures"]
