"""What the restorer says, and how it reaches every frame it can honestly reach. May import core only."""
