"""How work is done: keys, the cache, and the runner that makes only what is missing."""
