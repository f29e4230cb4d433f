"""Runs any Python model with a Basic Model Interface (BMI) over catchments.

`python3 -m headrace_bmi CONFIG.json FORCING OUTPUT [--partitions FILE]`.

It is laid into working folders and images as it is, so it imports only the standard library,
numpy and netCDF4, and the model. The interface: https://bmi.csdms.io, as the package bmipy has it.
"""
