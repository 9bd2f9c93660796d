"""The grammar of tile programs: types, values, ops, blocks, and their text. It knows no op by name."""
