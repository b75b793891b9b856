"""Benchmarks: ``python tests/benchmarks/run.py``. Not tests, pytest does not collect them."""
