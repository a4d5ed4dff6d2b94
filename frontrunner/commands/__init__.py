"""The library's own commands, one file each; `frontrunner.cli` finds them, and those of other packages."""
