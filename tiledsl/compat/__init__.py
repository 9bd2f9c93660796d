"""Other packages' names on top of tiledsl."""
