"""What other machines may ask: the read side of the Hub protocol over a store."""
