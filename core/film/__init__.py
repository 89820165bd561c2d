"""What things are: ranges, frames, clips, shots, colour. Values only, no files and no work."""
