"""The scoring service: a trained model behind HTTP, for images that others send.

A parent process (`supervisor`) binds the port and keeps one `worker` a core. Each worker reads
requests (`application`, `bodies`), decodes images in threads, and scores those of many requests in
one batch (`service`, `batching`). Nothing that a client sends is a path, a config or code; its size
is limited before it is kept. The libraries of the web (FastAPI, uvicorn, prometheus_client) stay in
here.
"""
