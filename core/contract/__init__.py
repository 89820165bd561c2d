"""What every stage signs: parameters, stage kinds, recipes, keys, progress, plugins."""
