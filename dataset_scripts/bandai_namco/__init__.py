"""A package, so that the folder is installed; `datasets` before 4 wants a script in a folder of its name."""
