"""Writes params.schema.json, by which editors complete and check params.yaml.

To write it anew after a change of stages/ifmmin/schema.py: `python stages/params_schema.py`.
"""

from collections.abc import Sequence
from pathlib import Path

from ifmmin import entry, schema
from ifmmin.files import write_json


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, "[--out]")
    out = args.out or Path(__file__).parents[1] / "params.schema.json"
    write_json(out, schema.json_schema(), sort_keys=False)


if __name__ == "__main__":
    entry.run(main)
