"""Benchmarks: ratios against peers, measured in one process, told in one table (`make bench`)."""
