"""What the capture script, the importers and the weights exporter share. See README.md in the folder above."""
