"""Calibration: the worker that searches the parameters of a model which fit observations best."""
