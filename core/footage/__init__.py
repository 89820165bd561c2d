"""The workings of film files: opened safely, indexed once, read by number, planes to R'G'B' and back."""
