"""What may be said to ``offhook``, and ``offhook call``. What ``dev`` and ``serve`` run is in ``processes``."""
