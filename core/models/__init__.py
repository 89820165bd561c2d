"""Networks and their weights: what guesses chroma, and where it runs."""

import os

# Threads of one network call wait for each other after every layer. Waiting busily gains nothing on an idle machine
# and makes a call seven times slower on a busy one (measured: 5.2 s against 0.7 s at eight processes a core). The
# OpenMP library reads this once, when torch loads it: hence here, before any module of this folder does.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
