"""Networks and their weights: what guesses chroma, and where it runs."""
