"""Conformance suites that plugin authors subclass; the only floor that imports pytest."""

import pytest

pytest.register_assert_rewrite("hven.testing.analysis_suite", "hven.testing.reader_suite")

from hven.testing.agreement import differences, misses
from hven.testing.analysis_suite import AnalysisSuite
from hven.testing.reader_suite import ExporterSuite, ReaderSuite
from hven.testing.strategies import frames, values

__all__ = ["AnalysisSuite", "ExporterSuite", "ReaderSuite", "differences", "frames", "misses", "values"]
