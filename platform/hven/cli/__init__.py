"""The `hven` command: a module per group of verbs, no logic of its own."""

from hven.cli.app import app, main

__all__ = ["app", "main"]
