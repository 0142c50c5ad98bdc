"""From prices to records: windows, models, experiments, grids."""
