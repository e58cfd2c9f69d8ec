"""The commands: each stage of the workflow reads files, calls functions of arrays, and writes files, whole or not at all."""
