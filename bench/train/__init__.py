"""How the embedded colouriser's weights were made, to be made again."""
