"""From one typed config to the plan of a deployment: pure functions, no file and no process is touched here."""
