"""The record of every run. The only package that knows MLflow; nothing heavy is imported before a store is opened."""
