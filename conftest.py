"""Loads the plugin even if pytest has other settings than the suite's, which it then refuses."""

pytest_plugins = ["conformance.pytest_plugin.plugin"]
