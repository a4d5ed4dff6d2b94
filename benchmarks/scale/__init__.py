"""What a large hub on a large dataset costs: a model of costs, and the measurements that it rests on."""
