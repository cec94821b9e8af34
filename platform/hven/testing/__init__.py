"""Conformance suites that plugin authors subclass, stressors and rates; the only floor that imports pytest."""

import pytest

pytest.register_assert_rewrite("hven.testing.analysis_suite", "hven.testing.reader_suite")

from hven.testing import stressors
from hven.testing.agreement import differences, misses
from hven.testing.analysis_suite import AnalysisSuite
from hven.testing.rates import Rate, coverage, null_rate
from hven.testing.reader_suite import ExporterSuite, ReaderSuite
from hven.testing.strategies import frames, values

__all__ = [
    "AnalysisSuite",
    "ExporterSuite",
    "Rate",
    "ReaderSuite",
    "coverage",
    "differences",
    "frames",
    "misses",
    "null_rate",
    "stressors",
    "values",
]
