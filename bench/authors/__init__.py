"""The authors' own programs, run from checkouts of theirs beside ours. Nothing of theirs is in this repository."""
