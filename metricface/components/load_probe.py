"""Loads components one after another and says what came of each.

`python -m metricface.components.load_probe "loss package:name" ...` writes a line of JSON for each. It is a process of
its own since loading runs other people's code, which may print, take torch in, or end the process.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Sequence

from metricface.components.provenance import first_line
from metricface.components.registry import installed_registries
from metricface.errors import PluginError


def main(asked: Sequence[str]) -> None:
    """Load every "kind package:name" of `asked`."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what components print is no answer
    registries = installed_registries()
    for line in asked:
        kind, _, name = line.partition(" ")
        reason = summary = ""
        try:
            summary = first_line(inspect.getdoc(registries[kind].load(name)))
        except PluginError as error:
            reason = error.reason
        print(json.dumps({"reason": reason, "summary": summary}), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
