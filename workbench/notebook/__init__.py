"""Contents of a notebook: runs as they train, the board of runs, explorers, static pages."""
