"""Formats: what a file is, and the domain that it tells. One file a format.

`runner.detect_folder` is the door for services: it reads strangers' files in a limited
subprocess. `detect` is what runs there; `registry` lists the formats.
"""
