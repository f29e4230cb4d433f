"""Splits hydrofabrics for parallel runs: partition configs as ngen reads them."""
