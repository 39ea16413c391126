"""The same endpoints with every bottleneck mended."""
