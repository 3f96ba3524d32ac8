"""The correct service of the faulty ones, with less of everything, and one that gives up work."""
