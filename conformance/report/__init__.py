"""Reports: the record of a run and its views. Nothing here starts or asks anything."""
