"""Makes the site: ``python -m docs.site`` (``make docs``) builds it from ``docs/`` and from the SDK's docstrings."""
