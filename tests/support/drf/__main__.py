"""``python -m drf``: the service under gunicorn, on a free port of 127.0.0.1, until stdin ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import django
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection
from gunicorn.app.base import BaseApplication


class Server(BaseApplication):
    """One worker, so that the stage is one; threads, so that calls may overlap."""

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": "127.0.0.1:0",
            "worker_class": "gthread",
            "workers": 1,
            "threads": 8,
            "keepalive": 30,
            "graceful_timeout": 1,
            "worker_tmp_dir": os.environ["DRF_HOME"],
            "control_socket_disable": True,  # it would be one file for all users of the account
            "when_ready": say_where,
            "post_worker_init": watch_stdin,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # older releases have no control socket
                self.cfg.set(name, value)

    def load(self) -> Any:
        return get_wsgi_application()


def say_where(arbiter: Any) -> None:
    host, port = arbiter.LISTENERS[0].sock.getsockname()
    print(f"drf: http://{host}:{port}", flush=True)


def watch_stdin(worker: Any) -> None:
    """End the service when whoever started it is gone, however that came about.

    It is the worker that watches: a thread in the parent would be there when it forks.
    """

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getppid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "drf.settings"
    django.setup()
    from . import stage

    call_command("migrate", run_syncdb=True, verbosity=0)
    stage.fill()
    connection.close()  # no connection may be shared with the worker
    sys.argv[1:] = []  # gunicorn reads no options from there, but names itself by it
    Server().run()


if __name__ == "__main__":
    main()
