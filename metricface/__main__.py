"""`python -m metricface` is the command line."""

from metricface.cli.app import main

main()
