"""From a hub to a directory on this machine: the hub's client, pinned downloads."""
