"""What a calibration decides, without a file, a clock or a process."""
