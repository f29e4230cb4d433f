"""The formats among which the derivation `forcing` converts."""

from typing import Final

CSV: Final = "AORC_CSV"
AORC_NETCDF: Final = "NETCDF_AORC_DEFAULT"
CANONICAL: Final = "NETCDF_FORCING_CANONICAL"
FORMATS: Final = (CSV, AORC_NETCDF, CANONICAL)
ROLE: Final = "forcing"  # of what it reads
