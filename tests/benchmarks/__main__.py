"""``python -m benchmarks [PART OF A NAME]``: measure, print one table, write build/bench.json."""

import sys
from pathlib import Path

import benchmarks
from benchmarks.harness import find_benchmarks, run_all, table, write_json

if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    rows = run_all(find_benchmarks(benchmarks, wanted))
    write_json(rows, Path(__file__).parents[2] / "build/bench.json")
    print()
    print(table(rows))
    failed = [row for row in rows if row.error and not row.error.startswith("peer not at hand")]
    sys.exit(1 if not rows or failed else 0)
