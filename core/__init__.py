"""Pixels and time: decode, repair, colourise, render, encode. Knows no hint's author and no browser."""
