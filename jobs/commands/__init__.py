"""The commands of this room: the service's database and its catalogue."""
