"""Tests of the ASGI adapter, on plain applications, Starlette, FastAPI and uvicorn."""
