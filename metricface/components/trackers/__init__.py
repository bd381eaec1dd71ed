"""Where a run is shown as it goes."""
