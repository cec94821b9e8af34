"""A plugin package to begin with: installable, tested, and yours to change."""

from hven.plugins.scaffold.writing import analyses_of, check_plugin_name, write_plugin

__all__ = ["analyses_of", "check_plugin_name", "write_plugin"]
