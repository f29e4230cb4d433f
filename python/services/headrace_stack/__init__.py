"""What `scripts/control-stack.sh` runs inside a stack: Redis's users and the first admin."""
