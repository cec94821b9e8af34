"""Plugins that are there for one test."""

import pytest

import hven
from hven.plugins import plugins


@pytest.fixture
def listening():
    """Register plugins by hand that are gone after the test."""
    added = []

    def add(name, sections):
        class Plugin:
            @hven.hookimpl
            def hven_report_sections(self, run):
                return sections(run)

        plugins().register(Plugin(), name)
        added.append(name)

    yield add
    for name in added:
        plugins().unregister(name)
