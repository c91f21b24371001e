"""What every package uses: errors, checksums, writing of files, compiled loops, memory."""
