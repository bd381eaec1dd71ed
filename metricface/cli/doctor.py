"""metricface doctor."""

from __future__ import annotations

import dataclasses
import json

import typer

from metricface.cli.arguments import AsJson


def doctor(as_json: AsJson = False) -> None:
    """Look at versions, devices, threads, caches, network, extras and plugins; exit code 1 if something is wrong."""
    from metricface.cli.doctor_checks import PROBLEM, examine

    findings = examine()
    problems = sum(finding.status == PROBLEM for finding in findings)
    if as_json:
        document = {"problems": problems, "findings": [dataclasses.asdict(finding) for finding in findings]}
        print(json.dumps(document, indent=2))
    else:
        from metricface.cli.tables import show_findings

        show_findings(findings)
    if problems:
        raise typer.Exit(1)
