"""The commands of `irvis`, one file each: its arguments and what it does."""
