"""What a notebook shows: runs as they train, the board of runs, explorers, static pages."""
