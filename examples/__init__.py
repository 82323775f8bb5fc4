"""What only the demo needs: the loop that it plays and the results that it shows."""
