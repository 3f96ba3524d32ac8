"""An application factory for other servers than one uvicorn process."""
