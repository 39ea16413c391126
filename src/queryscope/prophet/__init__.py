"""What recorded holding times say about a pool under more load: pure functions over Traces."""
