"""What the commands do: one file a command, one small function each; grammar in `studio.cli`, printing at the door."""
