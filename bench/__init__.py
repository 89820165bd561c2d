"""Measurements against peers and truth; each one command, JSON out."""
