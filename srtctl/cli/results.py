"""`srtctl results`: what a sweep measured, every point of it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from srtctl.errors import ExitCode

EPILOG = """\
Every point of the sweep has at least one row; a point without a result is a
row with its state.
Exit code: 0 when every point has a valid result, 1 otherwise.

  srtctl results                                   the latest run
  srtctl results nightly --columns +e2el_p99_ms    the latest of that name, with
                                                   one more column
  srtctl results 20260131-120000-3fa2c1 --csv      every field"""


def main(argv: list[str]) -> int:
    """Carry out `srtctl results`; returns the exit code.

    Raises:
        SrtctlError: There is no such sweep or column.
    """
    options = _parser().parse_args(argv)
    if options.fields:
        return _show_fields(options.json)
    from srtctl.results.rebuild import rebuild
    from srtctl.results.select import select_sweep
    from srtctl.results.state import read_state
    from srtctl.results.table import all_rows, as_csv, choose_columns, with_swept
    from srtctl.rundir import output_directory

    found = read_state(select_sweep(options.sweep, output_directory(options.output_dir)))
    if options.rebuild:
        found, problems = rebuild(found)
        for problem in problems:
            print(f"warning: {problem}", file=sys.stderr)
    rows = all_rows(found)
    if options.json:
        print(json.dumps(_document(found, rows), indent=2, ensure_ascii=False))
    elif options.csv:
        chosen = choose_columns(options.columns, rows) if options.columns else None
        sys.stdout.write(as_csv(rows, list(chosen) if chosen else None))
    else:
        from srtctl.report.tables import print_results

        rows = with_swept(rows)
        print_results(found, rows, choose_columns(options.columns, rows))
    return ExitCode.OK if found.good else ExitCode.FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="srtctl results",
        description="Show what a sweep measured.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help="id, name or path; default: the latest")
    parser.add_argument("--json", action="store_true", help="one JSON document with every field of every row")
    parser.add_argument("--csv", action="store_true", help="comma-separated values, every field")
    parser.add_argument("--columns", metavar="A,B", help="which columns; +A adds to the default ones")
    parser.add_argument("--rebuild", action="store_true", help="make the rows anew from the client's raw files")
    parser.add_argument("--fields", action="store_true", help="list every field of a row, with unit and meaning")
    parser.add_argument(
        "-o", "--output-dir", metavar="DIR", help="where runs are; default: $SRTCTL_OUTPUT_DIR, ./outputs"
    )
    return parser


def _document(found: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "sweep_id": found.sweep.sweep_id,
        "name": found.manifest.get("name"),
        "directory": str(found.sweep.path),
        "state": found.state,
        "versions": found.manifest.get("versions"),
        "rows": rows,
    }


def _show_fields(as_json: bool) -> int:
    from srtctl.benchmarks.rows import ROW_FIELDS

    if as_json:
        print(json.dumps([vars(field) for field in ROW_FIELDS], indent=2))
        return ExitCode.OK
    width = max(len(field.name) for field in ROW_FIELDS)
    for field in ROW_FIELDS:
        print(f"{field.name:{width}}  {field.unit:10}  {field.meaning}")
    return ExitCode.OK
