"""Runs trials: messages, the runner, the backends, the reference network and its data. Imports nothing above it."""
