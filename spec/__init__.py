"""The specification: what an implementation does.

It imports nothing of the suite, and opens nothing but its own files.
"""
