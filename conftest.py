"""Loads the plugin; there is nothing else here."""

pytest_plugins = ["conformance.pytest_plugin.plugin"]
