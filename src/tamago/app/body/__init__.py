"""Reading the body of a request: limits, compression, character sets, JSON, forms and text."""
