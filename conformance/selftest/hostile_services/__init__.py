"""Services that attack whoever judges them: by what they answer, store, hold, print and send."""
