"""The commands, one file each; `frontrunner.cli` puts them together."""
