"""The folder that a build writes: names, manifest, index, the forms, and the move into place."""
