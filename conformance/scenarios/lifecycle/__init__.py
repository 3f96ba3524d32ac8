"""Lifecycle scenarios: copies of the target, each observed over its whole life in the background.

A scenario observes and never judges. One file each; `catalogue` lists them.
"""
