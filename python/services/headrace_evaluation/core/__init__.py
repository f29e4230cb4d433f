"""What the evaluation decides: no file, no clock. Arrays in, values out."""
