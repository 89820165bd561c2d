"""People: projects on disk, edits and their history, sessions, renders as jobs, delivery. No browser here."""
