"""The recipes of the tasks, one YAML file each."""
